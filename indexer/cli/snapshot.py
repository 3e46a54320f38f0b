"""``gircse snapshot``: keep a collection as it is now, and return to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.confirm import confirm_or_exit
from indexer.cli.options import FormatOption, YesOption, epilog
from indexer.cli.session import session_of
from indexer.cli.stage import Stage
from indexer.cli.target import CollectionArgument
from indexer.cli.terminal import write_json
from indexer.wording import count_text, size_text, time_text

if TYPE_CHECKING:
    from indexer.transfer.snapshot_list import Snapshot

__all__ = ["app"]

app = typer.Typer(
    help="Keep a collection as it is now, and return to it; takes little room.",
    no_args_is_help=True,
)

SnapshotArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the snapshot.")]


@app.command(
    name="create",
    epilog=epilog("gircse snapshot create work", "gircse snapshot create work before-cleaning"),
)
def create(
    context: typer.Context,
    collection: CollectionArgument,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name of the snapshot.", show_default="the time"),
    ] = "",
    format: FormatOption = "text",
) -> None:
    """Keep a collection as it is now; searching and indexing may go on meanwhile."""
    from indexer.transfer.snapshots import create_snapshot

    session = session_of(context)
    with (
        session.open(collection) as target,
        Stage(session.terminal, f"copying {collection}") as stage,
    ):
        made = create_snapshot(
            target, name, on_part=lambda done, of: stage.tell_bytes("copying", done, of)
        )
    if format == "json":
        write_json(made.as_dict())
        return
    session.terminal.line(f"Made the snapshot {made.name!r} of {collection!r}: {_content(made)}.")


@app.command(name="list", epilog=epilog("gircse snapshot list work"))
def list_(
    context: typer.Context, collection: CollectionArgument, format: FormatOption = "text"
) -> None:
    """List the snapshots of a collection."""
    from indexer.transfer.snapshot_list import list_snapshots

    session = session_of(context)
    directory = session.library(session.load()).directory(collection)
    found = list_snapshots(directory)
    if format == "json":
        write_json([one.as_dict() for one in found])
    elif found:
        session.terminal.columns(
            ("name", "made", "documents", "chunks", "own size"),
            [
                (
                    one.name,
                    time_text(one.made_at),
                    f"{one.documents:,}",
                    f"{one.chunks:,}",
                    size_text(one.own_bytes),
                )
                for one in found
            ],
            right=("documents", "chunks", "own size"),
        )
        for one in found:
            if one.problem:
                session.terminal.warn(f"{one.name}: {one.problem}")
    else:
        session.terminal.note(
            f"There is no snapshot of {collection!r} yet: gircse snapshot create {collection}"
        )


@app.command(name="restore", epilog=epilog("gircse snapshot restore work before-cleaning"))
def restore(
    context: typer.Context,
    collection: CollectionArgument,
    name: SnapshotArgument,
    format: FormatOption = "text",
) -> None:
    """Return to a snapshot in one step; gircse collections rollback undoes it."""
    from indexer.transfer.snapshots import restore_snapshot

    session = session_of(context)
    directory = session.library(session.load()).directory(collection)
    with Stage(session.terminal, f"restoring {name}") as stage:
        record = restore_snapshot(
            directory, name, on_part=lambda done, of: stage.tell_bytes("copying", done, of)
        )
    if format == "json":
        write_json({"collection": collection, "snapshot": name, "generation": record.number})
        return
    session.terminal.line(
        f"{collection!r} is as in the snapshot {name!r} now (generation {record.number}); what was"
        f" is kept: gircse collections rollback {collection}"
    )


@app.command(name="delete", epilog=epilog("gircse snapshot delete work before-cleaning"))
def delete(
    context: typer.Context,
    collection: CollectionArgument,
    name: SnapshotArgument,
    yes: YesOption = False,
) -> None:
    """Delete a snapshot; the collection itself stays as it is."""
    from indexer.transfer.snapshot_list import find_snapshot
    from indexer.transfer.snapshots import delete_snapshot

    session = session_of(context)
    directory = session.library(session.load()).directory(collection)
    found, _ = find_snapshot(directory, name)
    question = f"Delete the snapshot {name!r} of {collection!r} ({_content(found)})?"
    confirm_or_exit(session.terminal, question, yes=yes)
    delete_snapshot(directory, name)
    session.terminal.line(f"Deleted the snapshot {name!r} of {collection!r}.")


def _content(snapshot: Snapshot) -> str:
    return (
        f"{count_text(snapshot.documents, 'document')}, {count_text(snapshot.chunks, 'chunk')},"
        f" {size_text(snapshot.own_bytes)} of its own"
    )
