"""``gircse judgements``: what users said of a collection's hits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.confirm import confirm_or_exit
from indexer.cli.options import FormatOption, YesOption, epilog
from indexer.cli.session import session_of
from indexer.cli.target import CollectionArgument
from indexer.cli.terminal import write_json
from indexer.errors import UsageError
from indexer.wording import count_text, time_text

if TYPE_CHECKING:
    from indexer.evaluation.judged_queries import JudgedQuery

__all__ = ["app"]

app = typer.Typer(
    help="What users said of a collection's hits, by thumbs in the app.", no_args_is_help=True
)


@app.command(name="list", epilog=epilog("gircse judgements list work"))
def list_(
    context: typer.Context, collection: CollectionArgument, format: FormatOption = "text"
) -> None:
    """List the judged queries of a collection."""
    from indexer.evaluation.judgement_book import JudgementBook

    session = session_of(context)
    directory = session.library(session.load()).directory(collection)
    queries = JudgementBook(directory).queries()
    if format == "json":
        write_json([_as_dict(query) for query in queries])
    elif queries:
        session.terminal.columns(
            ("id", "up", "down", "last judged", "query"),
            [
                (
                    query.id,
                    f"{sum(one.grade > 0 for one in query.passages):,}",
                    f"{sum(one.grade <= 0 for one in query.passages):,}",
                    time_text(query.passages[-1].judged_at),
                    query.text,
                )
                for query in queries
            ],
            right=("up", "down"),
        )
    else:
        session.terminal.note(
            f"No hit of {collection!r} was judged yet: give thumbs to hits in the app."
        )


@app.command(
    name="export",
    epilog=epilog(
        "gircse judgements export work my-judgements",
        "gircse judgements export work my-set --documents",
        after=["With --documents the folder is a whole judged set: gircse eval my-set --chunked."],
    ),
)
def export(
    context: typer.Context,
    collection: CollectionArgument,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder to be made, or an empty one.")
    ],
    documents: Annotated[
        bool, typer.Option("--documents", help="Also write the documents: corpus.jsonl.")
    ] = False,
) -> None:
    """Write the judgements of a collection as BEIR files."""
    from indexer.evaluation.judgement_book import JudgementBook
    from indexer.evaluation.judgement_export import export_set, judgement_files, write_files

    session = session_of(context)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty; choose another name")
    with session.open(collection) as target, target.using():
        book = JudgementBook(target.directory)
        if not book.queries():
            raise UsageError(f"no hit of {collection!r} was judged yet; there is nothing to write")
        if documents:
            count = export_set(book, target.store, folder)
            session.terminal.line(f"Wrote a judged set of {count_text(count, 'document')}.")
        else:
            write_files(folder, judgement_files(book))
            session.terminal.line(f"Wrote {_count(len(book.queries()))} to {folder}.")


@app.command(name="import", epilog=epilog("gircse judgements import work my-judgements"))
def import_(
    context: typer.Context,
    collection: CollectionArgument,
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Holds queries.jsonl and qrels/; see gircse tune."),
    ],
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Which judgements: qrels/NAME.tsv.")
    ] = "test",
) -> None:
    """Add judgements of a collection's documents to its own."""
    from indexer.evaluation.judgement_book import JudgementBook
    from indexer.evaluation.judgements import read_judgements

    session = session_of(context)
    with session.open(collection) as target, target.using():
        documents = target.store.documents()
        judgements = read_judgements(folder, documents, split=split)
        count = JudgementBook(target.directory).add(judgements, documents)
    queries = _count(len(judgements.queries))
    session.terminal.line(f"Added {count_text(count, 'judgement')} of {queries}.")


@app.command(
    name="delete",
    epilog=epilog(
        "gircse judgements delete work 4f0c2a91d6e8b370", "gircse judgements delete work"
    ),
)
def delete(
    context: typer.Context,
    collection: CollectionArgument,
    queries: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUERY]…", help="Ids or texts of queries.", show_default="all"),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Delete what was said for some queries, or for all."""
    from indexer.evaluation.judgement_book import JudgementBook

    session = session_of(context)
    directory = session.library(session.load()).directory(collection)
    book = JudgementBook(directory)
    chosen = queries or [one.id for one in book.queries()]
    if not chosen:
        session.terminal.note(f"No hit of {collection!r} was judged yet.")
        return
    unknown = [one for one in chosen if book.find(one) is None]
    if unknown:
        raise UsageError(
            f"no query {unknown[0]!r} was judged; gircse judgements list {collection} names those "
            "that were"
        )
    question = f"Delete the judgements of {_count(len(chosen))} in {collection!r}?"
    confirm_or_exit(session.terminal, question, yes=yes)
    for one in chosen:
        book.forget(one)
    session.terminal.line(f"Deleted the judgements of {_count(len(chosen))}.")


def _count(queries: int) -> str:
    return f"{queries:,} {'query' if queries == 1 else 'queries'}"


def _as_dict(query: JudgedQuery) -> dict[str, object]:
    return {
        "id": query.id,
        "text": query.text,
        "judgements": [
            {
                "document": one.document,
                "source": one.source,
                "passage": one.passage or None,
                "grade": one.grade,
                "judged_at": one.judged_at,
            }
            for one in query.passages
        ],
    }
