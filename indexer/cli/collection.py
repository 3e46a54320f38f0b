"""``gircse collections``: what there is to search, renaming, removing, and undoing a rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.confirm import confirm_or_exit
from indexer.cli.generation_view import (
    defaults_as_dict,
    defaults_text,
    generation_as_dict,
    generation_facts,
    rollback_notes,
)
from indexer.cli.options import FormatOption, YesOption, epilog
from indexer.cli.reindex_report import note_as_dict, note_text
from indexer.cli.session import Session, session_of
from indexer.cli.terminal import one_line, write_json
from indexer.errors import CollectionNotFoundError
from indexer.wording import count_text, size_text, time_text

if TYPE_CHECKING:
    from indexer.collections.library import CollectionSummary

__all__ = ["app", "find_summary", "summary_as_dict"]

app = typer.Typer(
    help="List, show, rename, delete and roll back collections.", no_args_is_help=True
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the collection.")]


@app.command(
    name="list", epilog=epilog("gircse collections list", "gircse collections list --format json")
)
def list_collections(context: typer.Context, format: FormatOption = "text") -> None:
    """List the collections with their sizes and models."""
    session = session_of(context)
    loaded = session.load()
    summaries = session.library(loaded).summaries()
    if format == "json":
        write_json([summary_as_dict(summary) for summary in summaries])
    elif summaries:
        session.terminal.columns(
            ("name", "documents", "chunks", "size", "changed", "steps", "model"),
            [
                (
                    summary.name,
                    f"{summary.documents:,}",
                    f"{summary.chunks:,}",
                    size_text(summary.size_bytes),
                    time_text(summary.modified_at) if summary.modified_at else "",
                    "" if summary.steps is None else str(summary.steps),
                    summary.model,
                )
                for summary in summaries
            ],
            right=("documents", "chunks", "size", "steps"),
        )
        for summary in summaries:
            if summary.problem is not None:
                session.terminal.warn(f"{summary.name}: {summary.problem}")
    else:
        session.terminal.note(
            f"There is no collection in {loaded.settings.home} yet. Make one: gircse index PATH"
        )


@app.command(name="show", epilog=epilog("gircse collections show work"))
def show_collection(
    context: typer.Context, name: NameArgument, format: FormatOption = "text"
) -> None:
    """Show what a collection holds, what made its vectors, and its generations.

    The live generation is the one that is searched; gircse collections rollback returns to the
    previous one.
    """
    from indexer.reindexing.rebuild_note import read_note

    session = session_of(context)
    library = session.library(session.load())
    with library.open(name) as target, target.using() as generation:
        directory = target.directory
        rebuild = read_note(directory)
        fingerprint = generation.config.fingerprint.as_dict()
        defaults = generation.search_defaults()
    summary = find_summary(session, name)
    kept = {"live": summary.live, "previous": summary.previous}
    if format == "json":
        write_json(
            {
                **summary_as_dict(summary),
                "directory": str(directory),
                "fingerprint": fingerprint,
                "search_defaults": defaults_as_dict(defaults),
                "rebuild": None if rebuild is None else note_as_dict(rebuild),
                **{
                    role: None if record is None else generation_as_dict(directory, record)
                    for role, record in kept.items()
                },
            }
        )
        return
    facts: dict[str, object] = {
        "name": summary.name,
        "documents": f"{summary.documents:,}",
        "chunks": f"{summary.chunks:,}",
        "size": size_text(summary.size_bytes),
        "changed": time_text(summary.modified_at),
        "directory": directory,
        "searched with": defaults_text(defaults),
    }
    for role, record in kept.items():
        if record is not None:
            facts |= generation_facts(directory, record, label=role)
    if rebuild is not None:
        facts["rebuild"] = note_text(rebuild, collection=name)
    facts |= _flat(fingerprint)
    width = max(len(label) for label in facts)
    for label, value in facts.items():
        session.terminal.line((f"{label:<{width}}  ", "dim"), one_line(str(value)))


@app.command(
    name="rollback",
    epilog=epilog(
        "gircse collections rollback work",
        after=["Repeat it to return to where you were: both generations are kept."],
    ),
)
def roll_back_collection(context: typer.Context, name: NameArgument) -> None:
    """Return to the generation before the last rebuild; searches go on meanwhile."""
    from indexer.collections.rollback import roll_back

    session = session_of(context)
    report = roll_back(session.library(session.load()).directory(name))
    session.terminal.line(
        f"{name!r} is back at generation {report.live.number} ({report.live.index} index in"
        f" {report.live.store}); generation {report.previous.number} is kept as the previous one."
    )
    for note in rollback_notes(report, name):
        session.terminal.warn(note)


@app.command(name="rename", epilog=epilog("gircse collections rename work archive"))
def rename_collection(
    context: typer.Context,
    name: NameArgument,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="What to call it.")],
) -> None:
    """Give a collection another name; refused while something writes to it.

    Commands that watch or search it under the old name have to be told the new one.
    """
    session = session_of(context)
    loaded = session.load()
    session.library(loaded).rename(name, new_name)
    session.terminal.line(f"The collection {name!r} is called {new_name!r} now.")
    if loaded.settings.collection == name and name != new_name:
        session.terminal.note(
            f"Where no collection is named, {name!r} is meant still: set `collection` in the "
            f"settings, or name it: -c {new_name}"
        )


@app.command(name="delete", epilog=epilog("gircse collections delete work"))
def delete_collection(context: typer.Context, name: NameArgument, yes: YesOption = False) -> None:
    """Delete a collection with everything in it; the files it was made from stay."""
    session = session_of(context)
    summary = find_summary(session, name)
    content = (
        f"{count_text(summary.documents, 'document')}, {count_text(summary.chunks, 'chunk')},"
        f" {size_text(summary.size_bytes)}"
    )
    confirm_or_exit(session.terminal, f"Delete the collection {name!r} ({content})?", yes=yes)
    session.library(session.load()).delete(name)
    session.terminal.line(f"Deleted the collection {name!r}: {content}.")


def summary_as_dict(summary: CollectionSummary) -> dict[str, object]:
    """Return a summary as plain values for JSON."""
    return {
        "name": summary.name,
        "documents": summary.documents,
        "chunks": summary.chunks,
        "size_bytes": summary.size_bytes,
        "model": summary.model,
        "steps": summary.steps,
        "store": None if summary.live is None else summary.live.store,
        "index": None if summary.live is None else summary.live.index,
        "states": dict(summary.states),
        "modified_at": summary.modified_at,
        "problem": summary.problem,
    }


def find_summary(session: Session, name: str) -> CollectionSummary:
    """Return the summary of one collection.

    Raises:
        CollectionNotFoundError: there is none of that name; the message names those there are.
    """
    summaries = session.library(session.load()).summaries()
    for summary in summaries:
        if summary.name == name:
            return summary
    names = ", ".join(summary.name for summary in summaries) or "none yet"
    raise CollectionNotFoundError(f"there is no collection {name!r}; there are: {names}.")


def _flat(values: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
