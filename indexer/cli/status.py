"""``gircse status``: where every file of a collection stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.boundary import ExitCode
from indexer.cli.collection import find_summary, summary_as_dict
from indexer.cli.options import CollectionOption, FormatOption, epilog
from indexer.cli.reindex_report import note_as_dict, note_text
from indexer.cli.report import print_problem
from indexer.cli.session import session_of
from indexer.cli.terminal import Terminal, write_json
from indexer.embedder import ModelError
from indexer.errors import StaleCollectionError
from indexer.wording import size_text, time_text

if TYPE_CHECKING:
    from indexer.collections.library import Collection, CollectionSummary
    from indexer.storage.ledger import LedgerRow

__all__ = ["EPILOG", "status"]

EPILOG = epilog(
    "gircse status",
    "gircse status -c work --failed",
    "gircse status --failed --format json",
    after=["Exit codes: 0 the collection can be searched; 4 it does not fit its model any more."],
)

_MEANINGS = {
    "ready": "can be searched",
    "no_text": "hold no text (scans need text recognition first)",
    "skipped": "are of no kind that is read",
    "failed": "could not be read; see: gircse status --failed",
    "queued": "wait; index again to go on",
    "extracting": "were being read; index again to go on",
    "embedding": "were being embedded; index again to go on",
}


def status(
    context: typer.Context,
    collection: CollectionOption = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="List every file that failed, with cause and remedy.")
    ] = False,
    format: FormatOption = "text",
) -> None:
    """Show how many files of a collection are ready, failed or waiting, and whether it fits."""
    from indexer.reindexing.rebuild_note import read_note

    session = session_of(context)
    with session.open(collection) as target:
        failures = target.ledger.failures()
        mismatch = None if failed else _mismatch(target)
        name = target.name
        rebuild = read_note(target.directory)
    summary = find_summary(session, name)
    if format == "json":
        write_json(
            {
                **summary_as_dict(summary),
                "failures": [_failure_as_dict(row) for row in failures],
                "rebuild": None if rebuild is None else note_as_dict(rebuild),
                **({} if failed else {"mismatch": mismatch}),
            }
        )
    elif failed:
        _print_failures(session.terminal, failures, name)
    else:
        _print_status(session.terminal, summary)
        if rebuild is not None:
            session.terminal.line(f"           {note_text(rebuild, collection=name)}")
    if mismatch is not None:
        session.terminal.error(mismatch)
        raise typer.Exit(ExitCode.STALE)


def _mismatch(target: Collection) -> str | None:
    """Return why the collection and its model do not fit, or None where they do."""
    try:
        target.check_model(target.model_info())
    except StaleCollectionError as error:
        return str(error)
    except ModelError as error:
        return f"the model of {target.name!r} cannot be checked: {error}"
    return None


def _failure_as_dict(row: LedgerRow) -> dict[str, object]:
    return {
        "source": row.source,
        "code": row.code,
        "message": row.message,
        "hint": row.hint,
        "updated_at": row.updated_at,
    }


def _print_failures(terminal: Terminal, failures: list[LedgerRow], name: str) -> None:
    for row in failures:
        print_problem(terminal, row)
    if failures:
        terminal.note(f"Try them again: gircse index PATH -c {name} --retry-failed")
    else:
        terminal.note(f"No file of {name!r} failed.")


def _print_status(terminal: Terminal, summary: CollectionSummary) -> None:
    terminal.line((summary.name, "bold"))
    for state, meaning in _MEANINGS.items():
        count = summary.states.get(state, 0)
        if count or state == "ready":
            terminal.line(f"{count:>9,}  files {meaning}")
    terminal.line(f"{summary.chunks:>9,}  chunks of {summary.documents:,} documents")
    terminal.line(
        f"{size_text(summary.size_bytes):>9}  on disk, changed {time_text(summary.modified_at)}"
    )
    terminal.line(f"           model {summary.model}, {summary.steps} refinement steps")
