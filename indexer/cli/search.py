"""``gircse search``: one query, answered on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from indexer.cli.freshness import FileState, file_states, freshness_note
from indexer.cli.hits import HitFormat, write_hits
from indexer.cli.options import (
    CollectionOption,
    DeviceOption,
    ModelOption,
    QuietOption,
    StepsOption,
    WhereOption,
    epilog,
)
from indexer.cli.session import Session, session_of
from indexer.errors import UsageError
from indexer.settings import FusionMethod, Mode
from indexer.wording import stability_text, stop_text

if TYPE_CHECKING:
    from indexer.collections.library import Collection
    from indexer.embedder import Embedder
    from indexer.searching.collection_searcher import CollectionSearcher
    from indexer.searching.search import SearchRequest, SearchResult
    from indexer.settings import LoadedSettings

__all__ = ["EPILOG", "search"]

EPILOG = epilog(
    "gircse search how do I renew my passport",
    "gircse search 'quarterly results' -c work --top 5 --where type=pdf",
    "gircse search peps --where 'path=*/peps/*' --where after=2024-01-31",
    "gircse search E1042 --mode lexical",
    "gircse search '\"boiler pressure\" losing -radiator'",
    "gircse search how do I renew my passport --budget-ms 50",
    "gircse search how do I renew my passport --auto",
    "gircse search passport --format paths | xargs -d '\\n' ls -l",
    "gircse search --format json -- --no-verify",
    "echo 'how do I renew my passport' | gircse search -",
    "gircse search passport -c work --qdrant-url https://qdrant.example.org:6333",
    after=[
        'In QUERY a "phrase in quotes" has to occur and a word after a minus, as in -radiator, must'
        " not; --plain takes both as they are.",
        "Exit codes: 0 answered, even when nothing was found; 1 an error; 2 wrong usage; 4 the"
        " collection was made by another model or version.",
        "In CSV a text that a spreadsheet would run as a formula starts with an apostrophe.",
    ],
)


def search(  # noqa: PLR0913 - each argument is a flag of the command
    context: typer.Context,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY",
            help="What to look for; several words need no quotes, - reads it from stdin.",
        ),
    ] = None,
    collection: CollectionOption = None,
    top: Annotated[
        int | None,
        typer.Option("--top", "-n", metavar="N", help="Hits to show.", show_default="10"),
    ] = None,
    offset: Annotated[
        int, typer.Option(metavar="N", min=0, help="Hits to pass over, for the next page.")
    ] = 0,
    mode: Annotated[
        Mode | None,
        typer.Option(
            "--mode",
            "-m",
            help="By meaning, by words, or both.",
            show_default="hybrid",
        ),
    ] = None,
    steps: StepsOption = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            "--budget-ms",
            metavar="MS",
            help="Answer within so many milliseconds from when the model is loaded, with as many"
            " steps as that allows; --steps is the most then.",
        ),
    ] = None,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto",
            help="Stop refining when the first hits keep their places, or the query hardly moves"
            " any more; --steps is the most then.",
        ),
    ] = False,
    where: WhereOption = None,
    fusion: Annotated[
        FusionMethod | None,
        typer.Option(
            help="How a hybrid search puts its two legs together.", show_default="weighted"
        ),
    ] = None,
    dense_weight: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Weight of meaning against words, 0 to 1; auto chooses it for each query, more"
            " words for long passages.",
            show_default="the collection's own, or auto",
        ),
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHUNK_ID",
            help="Find more like this passage of the collection, with QUERY or without; may be"
            " repeated. --format json has the ids; one that is gone is passed over.",
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option(metavar="CHUNK_ID", help="Find less like this passage; may be repeated."),
    ] = None,
    group: Annotated[
        Literal["passage", "document"],
        typer.Option(help="One hit per passage, or the best passages of each document together."),
    ] = "passage",
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Take quotes and minus signs in QUERY as they are."),
    ] = False,
    model: ModelOption = None,
    device: DeviceOption = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="In a table, show whole passages and the scores of each leg."),
    ] = False,
    format: Annotated[
        HitFormat,
        typer.Option("--format", "-f", help="A table for people, or a form for programs."),
    ] = "table",
    qdrant_url: Annotated[
        str | None,
        typer.Option(
            "--qdrant-url",
            metavar="URL",
            help="Search the collection of that name on a Qdrant server; it need not be here.",
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Search a collection.

    Hits go to stdout, best first; timings and notes go to stderr.
    """
    from indexer.searching.filters import Where
    from indexer.searching.search import SearchRequest

    session = session_of(context)
    session.terminal.quiet = quiet
    loaded = session.load(
        {
            "collection": collection,
            "top": top,
            "mode": mode,
            "steps": steps,
            "fusion": fusion,
            "dense_weight": dense_weight,
            "model": model,
            "device": device,
            "qdrant.url": qdrant_url,
        }
    )
    settings = loaded.settings
    text = _query_text(query or [], is_needed=not like)
    chooses_steps = auto or budget_ms is not None
    request = SearchRequest(
        text,
        top_k=settings.top,
        offset=offset,
        mode=settings.mode if text else "dense",
        # What a file says is for searches that name no other way to choose.
        steps=None if chooses_steps and not loaded.is_explicit("steps") else settings.steps,
        where=Where.parse(where) if where else None,
        fusion=settings.fusion,
        dense_weight=settings.dense_weight,
        budget_ms=budget_ms,
        until_stable=auto,
        like=tuple(like or ()),
        unlike=tuple(unlike or ()),
        grouping=group,
        is_plain=plain,
    )
    name = loaded.settings.collection
    states: list[FileState]
    if qdrant_url is not None:
        from indexer.cli.remote_search import search_remote

        result = search_remote(session, loaded, request)
        states = ["current"] * len(result.hits)  # their files are on another machine
    else:
        with session.library(loaded).open(name) as target, target.using():
            result = _searcher(target, loaded, session, request).search(request)
            states = file_states(target.ledger, [hit.document.id for hit in result.hits])
    write_hits(session.terminal, result, collection=name, format=format, states=states, full=full)
    _say_more(session, result, states, collection=name)


def _query_text(words: list[str], *, is_needed: bool) -> str:
    text = sys.stdin.read() if words == ["-"] else " ".join(words)
    if is_needed and not text.strip():
        raise UsageError("the query is empty; say what to look for.")
    return text.strip()


def _searcher(
    target: Collection, loaded: LoadedSettings, session: Session, request: SearchRequest
) -> CollectionSearcher:
    """Return what searches ``target``; a search by words or passages alone touches no model."""
    settings = loaded.settings
    if request.mode == "lexical" or not request.text:
        return target.searcher(None)
    from indexer.embedder import load_embedder, model_info

    # A model named in a file is for new collections; one asked for here and now has to fit.
    name = settings.model if loaded.is_explicit("model") else target.config.model
    target.check_model(model_info(name) if loaded.is_explicit("model") else target.model_info())

    def load() -> Embedder:
        with session.terminal.status(f"Loading {name}"):
            return load_embedder(name, device=settings.device, dtype=settings.dtype)

    return target.searcher(load)


def _say_more(
    session: Session, result: SearchResult, states: list[FileState], *, collection: str
) -> None:
    """Say on stderr what is not a result: nothing found, files that changed, the time it took."""
    terminal = session.terminal
    request = result.request
    if not result.hits:
        terminal.note(_nothing_found(result, collection))
    by_document = {hit.document.id: state for hit, state in zip(result.hits, states, strict=True)}
    if note := freshness_note(list(by_document.values()), collection=collection):
        terminal.warn(note)
    parts: list[str] = [request.mode]
    if result.steps is not None:
        parts.append(f"{result.steps} steps" if result.steps != 1 else "1 step")
    if result.dense_weight is not None:
        parts.append(f"dense weight {result.dense_weight:.2f}")
    parts += [
        f"{leg} {result.timings_ms[leg]:.0f} ms"
        for leg in ("load", "embed", "dense", "lexical", "total")
        if leg in result.timings_ms
    ]
    if result.progress is not None:
        parts.append(stability_text(result.progress))
        if result.progress.stopped is not None:
            parts.append(stop_text(result.progress.stopped))
    terminal.note(" · ".join(parts))


def _nothing_found(result: SearchResult, collection: str) -> str:
    request = result.request
    if result.total_chunks == 0:
        return f"Nothing found: the collection {collection!r} is empty. Fill it: gircse index PATH"
    advice = [
        "fewer conditions" if request.where else "",
        "a smaller --offset" if request.offset else "",
        "--mode hybrid, which also searches by meaning" if request.mode == "lexical" else "",
    ]
    said = [entry for entry in advice if entry]
    what = f"Nothing found for {request.text!r} in {collection!r}"
    return f"{what}; try {' or '.join(said)}." if said else f"{what}."
