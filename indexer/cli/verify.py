"""``gircse verify``: is every byte of a collection as it was written, and do its parts agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.boundary import ExitCode
from indexer.cli.options import CollectionOption, FormatOption, QuietOption, epilog
from indexer.cli.session import Session, session_of
from indexer.cli.stage import Stage
from indexer.cli.target import NameArgument, chosen_name
from indexer.cli.terminal import one_line, write_json

if TYPE_CHECKING:
    from indexer.verification.findings import Report
    from indexer.verification.repair import Repair

__all__ = ["EPILOG", "verify"]

EPILOG = epilog(
    "gircse verify work",
    "gircse verify work --format json",
    "gircse verify work --repair",
    after=[
        "Compared are: the checksum of every file; every document with its own checksum, with its"
        " row in the ledger and with the vectors that its passages use; the index of words with the"
        " words; the index of vectors with the vectors; and some passages are searched by their own"
        " vectors. Snapshots are examined too. Searching and indexing may go on meanwhile.",
        "--repair makes anew what is derived (the indexes), copies what is sound of a damaged"
        " database or file of vectors into a new one, and queues documents that suffered, so that"
        " the next gircse index reads them again. What was damaged is kept under another name.",
        "Exit codes: 0 all is sound; 1 something is damaged, or could not be examined; 2 wrong"
        " usage.",
    ],
)


def verify(
    context: typer.Context,
    name: NameArgument = None,
    collection: CollectionOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; nothing is deleted.")
    ] = False,
    quiet: QuietOption = False,
    format: FormatOption = "text",
) -> None:
    """Prove a collection sound, or name what is damaged and what to do about it."""
    from indexer.verification.repair import repair as mend
    from indexer.verification.verifier import verify as examine

    session = session_of(context)
    session.terminal.quiet = quiet
    loaded = session.load({"collection": chosen_name(name, collection)})
    directory = session.library(loaded).directory(loaded.settings.collection)
    with Stage(session.terminal, f"examining {directory.name}") as stage:
        if repair:
            mended = mend(directory, on_progress=stage.tell)
            report = mended.after
        else:
            mended = None
            report = examine(directory, on_progress=stage.tell)
    if format == "json":
        write_json({**report.as_dict(), **({"done": list(mended.done)} if mended else {})})
    else:
        _print(session, report, mended)
    if not report.is_sound:
        raise typer.Exit(ExitCode.ERROR)


def _print(session: Session, report: Report, mended: Repair | None) -> None:
    terminal = session.terminal
    for done in mended.done if mended is not None else ():
        terminal.line(("mended", "green"), "   ", one_line(done))
    for problem in report.problems:
        terminal.line(
            ("unclear", "yellow") if problem.part == "access" else ("damaged", "bold red"),
            "  ",
            (problem.file, "bold"),
            "  ",
            one_line(problem.what),
        )
        terminal.line("         → ", one_line(problem.remedy))
    for remark in report.remarks:
        terminal.note(one_line(remark))
    looked_at = ", ".join(f"{count:,} {what}" for what, count in report.counts.items() if count)
    verdict = ("sound", "green") if report.is_sound else ("not sound", "bold red")
    if not report.is_sound and not report.is_damaged:
        verdict = ("sound as far as it could be examined", "yellow")
    terminal.line((report.name, "bold"), " is ", verdict, f" ({looked_at}; {report.seconds:.1f} s)")
