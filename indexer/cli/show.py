"""``gircse show``: the text of a document, as it was indexed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.document import record_as_dict
from indexer.cli.lookup import find_document
from indexer.cli.options import CollectionOption, FormatOption, epilog
from indexer.cli.session import session_of
from indexer.cli.terminal import Terminal, one_line, printable, write_json
from indexer.errors import StorageError, UsageError

if TYPE_CHECKING:
    from indexer.collections.library import Collection
    from indexer.documents import Chunk, Document
    from indexer.stores.base import DocumentRecord

__all__ = ["EPILOG", "show"]

EPILOG = epilog(
    "gircse show ~/Documents/lease.pdf --page 3",
    "gircse show 6f0c7a52",
    "gircse show ~/notes/todo.md --chunks",
    "gircse show 6f0c7a52 --format json",
    after=["In text, control characters of the document are shown as \ufffd; JSON has them all."],
)


def show(
    context: typer.Context,
    document: Annotated[
        str,
        typer.Argument(
            metavar="DOC", help="An id, at least 4 characters of one, a path or its end."
        ),
    ],
    collection: CollectionOption = None,
    chunks: Annotated[
        bool, typer.Option("--chunks", help="Show the passages that are searched.")
    ] = False,
    page: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only this page or slide.")
    ] = None,
    format: FormatOption = "text",
) -> None:
    """Print a document's text as it was indexed."""
    session = session_of(context)
    with session.open(collection) as target:
        record = find_document(target, document)
        if chunks:
            passages = _chunks(target, record, page)
            if format == "json":
                write_json([_chunk_as_dict(chunk) for chunk in passages])
            else:
                _print_chunks(session.terminal, passages)
            return
        content = target.store.document(record.id)
        if content is None:
            raise StorageError(
                f"{record.source} was removed from {target.name!r} while it was read;"
                " index it again."
            )
        text = content.text if page is None else _page_text(content, page)
    if format == "json":
        write_json({**record_as_dict(record), "page": page, "text": text})
    else:
        typer.echo(printable(text.rstrip("\n")))


def _chunks(target: Collection, record: DocumentRecord, page: int | None) -> list[Chunk]:
    chunks = target.store.chunks(record.id)
    if page is None:
        return chunks
    found = [chunk for chunk in chunks if chunk.page == page]
    if not found:
        pages = sorted({chunk.page for chunk in chunks if chunk.page is not None})
        raise UsageError(_no_page(record.source, page, pages))
    return found


def _page_text(document: Document, page: int) -> str:
    found = [section for section in document.sections if section.page == page]
    if not found:
        pages = sorted({s.page for s in document.sections if s.page is not None})
        raise UsageError(_no_page(document.source, page, pages))
    # What stands between the sections of a page is white space.
    return document.text[found[0].start : found[-1].end]


def _no_page(source: str, page: int, pages: list[int]) -> str:
    if not pages:
        return f"{source} has no pages; leave --page out."
    return f"{source} has no text on page {page}; it has pages {pages[0]} to {pages[-1]}."


def _print_chunks(terminal: Terminal, chunks: list[Chunk]) -> None:
    for number, chunk in enumerate(chunks, start=1):
        facts = [f"characters {chunk.start} to {chunk.end}"]
        if chunk.page is not None:
            facts.insert(0, f"page {chunk.page}")
        terminal.line((f"{number}  ", "bold"), (chunk.id, "dim"), ("  " + ", ".join(facts), "dim"))
        if chunk.context:
            terminal.line((one_line(chunk.context), "italic"))
        terminal.line(printable(chunk.text))
        terminal.line("")


def _chunk_as_dict(chunk: Chunk) -> dict[str, object]:
    return {
        "id": chunk.id,
        "document_id": chunk.document_id,
        "page": chunk.page,
        "context": chunk.context,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
    }
