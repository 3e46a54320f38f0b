"""``gircse documents``: the documents of a collection, and removing some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.confirm import confirm_or_exit
from indexer.cli.lookup import find_document
from indexer.cli.options import CollectionOption, FormatOption, WhereOption, YesOption, epilog
from indexer.cli.session import session_of
from indexer.cli.terminal import one_line, write_json
from indexer.wording import count_text, size_text, time_text

if TYPE_CHECKING:
    from indexer.stores.base import DocumentRecord

__all__ = ["app"]

app = typer.Typer(help="List the documents of a collection and remove some.", no_args_is_help=True)

_MAX_ASKED = 10
_ID_CHARS = 8  # enough to tell documents apart, and accepted wherever an id is


@app.command(
    name="list",
    epilog=epilog(
        "gircse documents list",
        "gircse documents list -c work --where type=pdf --limit 50",
        "gircse documents list --limit 0 --format json",
    ),
)
def list_documents(
    context: typer.Context,
    collection: CollectionOption = None,
    where: WhereOption = None,
    offset: Annotated[
        int, typer.Option(metavar="N", min=0, help="Documents to pass over, for the next page.")
    ] = 0,
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="Documents to list; 0 lists all.")
    ] = 100,
    format: FormatOption = "text",
) -> None:
    """List the documents that can be searched, ordered by path."""
    from indexer.searching.filters import Where

    session = session_of(context)
    conditions = Where.parse(where) if where else None
    with session.open(collection) as target:
        # One more than asked for tells whether there are more.
        records = target.store.documents(
            where=conditions, offset=offset, limit=limit + 1 if limit else None
        )
        name = target.name
    shown = records[:limit] if limit else records
    if format == "json":
        write_json([record_as_dict(record) for record in shown])
    elif shown:
        session.terminal.columns(
            ("id", "type", "chunks", "size", "changed", "path"),
            [
                (
                    record.id[:_ID_CHARS],
                    record.media_type,
                    f"{record.chunks:,}",
                    size_text(record.size_bytes),
                    time_text(record.modified_at),
                    record.source,
                )
                for record in shown
            ],
            right=("chunks", "size"),
        )
    if not shown:
        session.terminal.note(f"No document of {name!r} is like this. Add some: gircse index PATH")
    elif len(records) > len(shown):
        session.terminal.note(
            f"These are {len(shown)} documents from number {offset + 1} on; the next ones:"
            f" --offset {offset + len(shown)}"
        )


@app.command(
    name="delete",
    epilog=epilog(
        "gircse documents delete ~/Documents/old.pdf",
        "gircse documents delete 6f0c7a52 91ab44e0 -c work --yes",
        after=["The files stay, and the next run that finds them adds them again."],
    ),
)
def delete_documents(
    context: typer.Context,
    documents: Annotated[
        list[str],
        typer.Argument(
            metavar="DOC",
            help="Ids, at least 4 characters of one, paths of documents or their ends.",
        ),
    ],
    collection: CollectionOption = None,
    yes: YesOption = False,
) -> None:
    """Remove documents from a collection; their files stay."""
    session = session_of(context)
    with session.open(collection) as target:
        found = {
            record.id: record for record in (find_document(target, text) for text in documents)
        }
        records = list(found.values())
        chunks = sum(record.chunks for record in records)
        content = f"{count_text(len(records), 'document')}, {count_text(chunks, 'chunk')}"
        if not yes:
            for record in records[:_MAX_ASKED]:
                session.terminal.note(f"  {one_line(record.source)}")
            if len(records) > _MAX_ASKED:
                session.terminal.note(f"  … and {len(records) - _MAX_ASKED} more")
        confirm_or_exit(session.terminal, f"Remove {content} from {target.name!r}?", yes=yes)
        target.delete_documents([record.id for record in records])
        session.terminal.line(f"Removed from {target.name!r}: {content}.")


def record_as_dict(record: DocumentRecord) -> dict[str, object]:
    """Return a document's record as plain values for JSON."""
    return {
        "id": record.id,
        "source": record.source,
        "title": record.title,
        "media_type": record.media_type,
        "modified_at": record.modified_at,
        "size_bytes": record.size_bytes,
        "chunks": record.chunks,
        "metadata": dict(record.metadata),
    }
