"""Collections with several generations, made without a model or a rebuild's own code.

Every content is an edition: each of its passages names it, and so does the step count of its
settings. An answer that mixes generations shows by that.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from indexer.collections.canary import probe
from indexer.collections.collection import Collection
from indexer.collections.config import ContentSettings
from indexer.collections.generation import Generation, make_content
from indexer.collections.generations import GenerationRecord, next_number, publish, sweep
from indexer.collections.library import Library
from indexer.documents import (
    Chunk,
    Document,
    Section,
    chunk_id,
    document_id,
    embedding_text,
    text_hash,
)
from indexer.indexing.chunking import ChunkingConfig
from indexer.indexing.discovery import FileEntry
from indexer.searching.search import SearchRequest, SearchResult
from tests.indexer.fake_model import FakeEmbedder, FakeModel, vector

DOCUMENTS = 12
PASSAGES = 2
MAX_EDITION = 20  # the most steps of FakeModel

_FORMAT_1 = Path(__file__).with_name("format-1.zip")


@dataclass(frozen=True)
class Refined:
    """One step of a query."""

    vector: np.ndarray
    seconds: float = 0.0


@dataclass
class QueryEmbedder(FakeEmbedder):
    """A model that is asked queries too: it finds the passage of the same text."""

    def refine(self, text: str, *, max_steps: int) -> Iterator[Refined]:
        for _ in range(max_steps + 1):
            yield Refined(vector(text))


def open_library(home: Path) -> Library:
    """Return the collections of a home, all made by ``FakeModel``."""
    model = FakeModel(home.parent / "tokenizer.json")
    return Library(home, resolve=lambda name: model)


def make_collection(home: Path, name: str = "docs") -> Collection:
    """Make a collection of edition 0, complete with its index."""
    library = open_library(home)
    collection = library.create(name, model="fake", steps=0)
    with collection.using() as generation:
        fill(generation, edition=0)
        generation.store.flush()
    return collection


def unpack_format_1(home: Path) -> Library:
    """Put a collection of three documents there that a program of format 1 made: ``old``."""
    with zipfile.ZipFile(_FORMAT_1) as archive:
        archive.extractall(home / "collections" / "old")
    return open_library(home)


def passage(document: int, number: int, edition: int) -> str:
    """Return the text of a passage."""
    return f"Document {document} says {number} in edition {edition}."


def fill(generation: Generation, *, edition: int, documents: int = DOCUMENTS) -> None:
    """Write the documents of an edition."""
    with generation.database.write():
        for number in range(documents):
            add_document(generation, number, edition=edition)


def add_document(generation: Generation, number: int, *, edition: int) -> str:
    """Write one document with its row in the ledger; return its id."""
    source = f"/home/me/{number}.md"
    identity = document_id(source)
    texts = [passage(number, one, edition) for one in range(PASSAGES)]
    text = "\n\n".join(texts)
    chunks = []
    for one in texts:
        begin, end = text.index(one), text.index(one) + len(one)
        key = chunk_id(identity, begin, end, one)
        chunks.append(Chunk(key, identity, one, begin, end, None, ""))
    document = Document(identity, source, text, source, "markdown", (Section(0, len(text)),))
    entry = FileEntry(Path(source), len(text), 1)
    with generation.database.write():
        keyed = [embedding_text(chunk) for chunk in chunks]
        rows = generation.archive.append(
            [text_hash(one) for one in keyed], np.stack([vector(one) for one in keyed])
        )
        generation.ledger.queue([entry])
        generation.store.upsert(document, chunks, rows, modified_at=1.0, size_bytes=len(text))
        generation.ledger.finish(
            entry.key,
            size=len(text),
            mtime_ns=1,
            sha256=text_hash(text).hex(),
            chunks=len(chunks),
        )
    return identity


def draft_index(collection: Collection) -> GenerationRecord:
    """Make another index over the live content; nothing is published."""
    with collection.using() as live:
        number = next_number(collection.directory)
        record = GenerationRecord(number, live.record.content, made_at=time.time())
    complete(collection, record)
    return record


def draft_content(collection: Collection, edition: int) -> GenerationRecord:
    """Make another content with an index over it; nothing is published."""
    number = next_number(collection.directory)
    record = GenerationRecord(number, f"content-{number}", made_at=time.time())
    settings = ContentSettings.new(
        collection.model_info(), steps=edition, chunking=ChunkingConfig()
    )
    make_content(record.content_directory(collection.directory), settings)
    with closing(Generation(collection.directory, record)) as generation:
        fill(generation, edition=edition)
    complete(collection, record)
    return record


def complete(collection: Collection, record: GenerationRecord) -> None:
    """Write the index of a draft and probe it."""
    record.index_directory(collection.directory).mkdir(exist_ok=True)
    with closing(Generation(collection.directory, record)) as generation:
        generation.store.flush()
        probe(generation)


def swap(collection: Collection, record: GenerationRecord) -> None:
    """Publish a draft and remove what is not kept."""
    with collection.write_lock("swapping"):
        publish(collection.directory, record)
        sweep(collection.directory)


def move_to_edition(collection: Collection, edition: int) -> None:
    """Make an edition live."""
    swap(collection, draft_content(collection, edition))


REQUESTS = [
    SearchRequest("Document 3 says 1 in edition 0.", mode="dense", top_k=8),
    SearchRequest("document 5", mode="lexical", top_k=8),
    SearchRequest("Document 7 says 0", mode="hybrid", top_k=8),
]


def check_answer(result: SearchResult, *, documents: int = DOCUMENTS) -> int:
    """Check that all of an answer is of one edition; return that."""
    edition = result.fingerprint["steps"]
    assert isinstance(edition, int)
    assert result.total_chunks == documents * PASSAGES
    assert result.hits
    for hit in result.hits:
        assert hit.chunk.text.endswith(f"in edition {edition}."), (edition, hit.chunk.text)
    if result.steps is not None:
        assert result.steps == edition
    return edition


def check_sound(collection: Collection) -> None:
    """Check a collection from end to end, in a generation of its own."""
    embedder = QueryEmbedder(collection.model_info())
    with collection.using() as generation:
        probe(generation, sample=2 * DOCUMENTS * PASSAGES)
        assert generation.archive.verify() == []
        assert len(generation.store.documents()) == DOCUMENTS
        assert generation.ledger.totals().documents == DOCUMENTS
    searcher = collection.searcher(lambda: embedder)
    for request in REQUESTS:
        check_answer(searcher.search(request))


def renamed(record: GenerationRecord, **changes: object) -> GenerationRecord:
    """Return a record with other values."""
    return replace(record, **changes)  # type: ignore[arg-type]
