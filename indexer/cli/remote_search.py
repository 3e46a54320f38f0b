"""A search of a collection that is somewhere else: with the address of a Qdrant server alone."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.cli.session import Session
    from indexer.collections.config import CollectionConfig
    from indexer.embedder import Embedder
    from indexer.searching.results import SearchRequest, SearchResult
    from indexer.settings import LoadedSettings

__all__ = ["search_remote"]


def search_remote(session: Session, loaded: LoadedSettings, request: SearchRequest) -> SearchResult:
    """Answer a request from Qdrant; the collection itself need not be on this machine.

    Raises:
        UsageError: the collection's model is none of ours, and none was named.
        FingerprintMismatchError: the model here is not that of the collection.
        StorageError: there is no such collection at the address, or nobody answers.
    """
    from indexer.searching.search import Searcher
    from indexer.stores.qdrant.reader import QdrantReader

    settings = loaded.settings
    with closing(QdrantReader(settings.qdrant, settings.collection)) as reader:
        config, defaults = reader.config, reader.defaults
        if defaults.steps is None:
            defaults = replace(defaults, steps=config.steps)
        load = None
        if request.mode != "lexical":
            name = _checked_model(config, loaded)

            def load() -> Embedder:
                from indexer.embedder import load_embedder

                with session.terminal.status(f"Loading {name}"):
                    return load_embedder(name, device=settings.device, dtype=settings.dtype)

        searcher = Searcher(reader, load, config.fingerprint, defaults=defaults)
        return searcher.search(request)


def _checked_model(config: CollectionConfig, loaded: LoadedSettings) -> str:
    """Return the model to embed the query with, after checking that it is the collection's."""
    from indexer.collections.model_check import check_model
    from indexer.embedder import list_models, model_info

    name = loaded.settings.model if loaded.is_explicit("model") else config.model
    ours = [model for model, _ in list_models() if "/" not in model]
    if name not in ours and not loaded.is_explicit("model"):
        # The server may be anybody's: it shall not choose what is loaded here.
        raise UsageError(
            f"the collection was made with the model {name!r}, which does not come with this"
            f" program ({', '.join(ours)}). If you trust it and have it here, pass --model with its"
            " name or folder; or search by words alone: --mode lexical"
        )
    check_model(config, model_info(name), name=loaded.settings.collection)
    return name
