"""A collection over real files, models that cost nothing, and rebuilds of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from indexer.collections.generation import Generation
from indexer.collections.generations import read_generations
from indexer.collections.library import Collection, Library
from indexer.documents import embedding_text
from indexer.indexing.chunking import ChunkingConfig
from indexer.indexing.index_report import IndexOptions, IndexReport
from indexer.indexing.pipeline import index_paths
from indexer.reindexing.report import ReindexReport
from indexer.reindexing.request import ReindexRequest
from indexer.reindexing.run import reindex
from tests.indexer.fake_model import FakeEmbedder, FakeModel, vector, write_tokenizer

WORDS = ["river", "stone", "bread", "cloud", "engine", "garden", "letter", "window"]


@dataclass(frozen=True)
class Step:
    step: int
    vector: np.ndarray
    seconds: float = 0.0


@dataclass
class SteppedEmbedder(FakeEmbedder):
    """Gives other vectors for every model and step count."""

    def embed_documents(self, texts, *, steps=None):
        super().embed_documents(texts, steps=steps)
        return np.stack([stepped_vector(self.info.name, steps, text) for text in texts])

    def refine(self, text, *, max_steps):
        yield Step(max_steps, stepped_vector(self.info.name, max_steps, text))


def stepped_vector(model: str, steps: int | None, text: str) -> np.ndarray:
    return vector(f"{model}/{steps}/{text}")


@dataclass
class Bench:
    """A collection in a folder, made if it is not there; its files, and all models."""

    folder: Path
    models: dict[str, FakeModel] = field(default_factory=dict)
    embedders: list[SteppedEmbedder] = field(default_factory=list)
    seconds_per_text: float = 0.0

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.files = self.folder / "files"
        self.directory = self.folder / "home" / "collections" / "docs"
        tokenizer = self.folder / "tokenizer.json"
        is_new = not self.files.exists()
        if is_new:
            self.files.mkdir()
            write_tokenizer(self.folder)
        self.models["fake"] = FakeModel(tokenizer)
        self.models["other"] = FakeModel(tokenizer, name="other", weights="4567", default_steps=2)
        self.library = Library(self.folder / "home", resolve=self.resolve)
        if is_new:
            chunking = ChunkingConfig(40, 8, 20)
            self.library.create("docs", model="fake", chunking=chunking).close()

    def resolve(self, name: str) -> FakeModel:
        return self.models[name]

    def open(self) -> Collection:
        return self.library.open("docs")

    def embedder(self, name: str) -> SteppedEmbedder:
        made = SteppedEmbedder(self.models[name], seconds_per_text=self.seconds_per_text)
        self.embedders.append(made)
        return made

    @property
    def asked(self) -> list[str]:
        """All texts that models were given, call after call."""
        return [text for made in self.embedders for text in made.texts]

    def write(self, name: str, text: str) -> None:
        (self.files / name).write_text(text, encoding="utf-8")

    def write_many(self, count: int = 24) -> None:
        for number in range(count):
            words = " ".join(WORDS[(number + n) % len(WORDS)] for n in range(3))
            text = "".join(f"About {words} {number}, part {part}. " for part in range(15))
            self.write(f"{number:02}.md", f"# Paper {number}\n\n{text}")
        self.write("empty.md", "")
        (self.files / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing more")

    def index(self) -> IndexReport:
        with self.open() as collection:
            model = collection.config.model
            return index_paths(
                collection,
                [self.files],
                embedder=lambda: SteppedEmbedder(self.models[model]),
                options=IndexOptions(prune=True, rehash=True),
            )

    def reindex(
        self,
        request: ReindexRequest | None = None,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        on_progress: Callable[[object], None] | None = None,
        **asked: object,
    ) -> ReindexReport:
        with self.open() as collection:
            return reindex(
                collection,
                request or ReindexRequest(**asked),
                embedder=self.embedder,
                resolve=self.resolve,
                should_stop=should_stop,
                on_progress=on_progress,
            )

    def texts(self) -> dict[str, str]:
        """Return what the model reads of each chunk of the live generation."""
        with self.open() as collection:
            return {
                item.chunk.id: embedding_text(item.chunk)
                for stored, _ in collection.store.scroll()
                for item in stored
            }

    def check(self) -> None:
        """The live generation is sound, and its vectors are those of its own settings."""
        with self.open() as collection:
            check_generation(collection)

    def folders(self) -> set[str]:
        return {path.name for path in self.directory.iterdir() if path.is_dir()}


def check_generation(collection: Collection | Generation) -> None:
    config, store = collection.config, collection.store
    assert collection.archive.verify() == []
    seen = 0
    for stored, vectors in store.scroll():
        seen += len(stored)
        texts = [embedding_text(one.chunk) for one in stored]
        expected = np.stack([stepped_vector(config.model, config.steps, text) for text in texts])
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
        for one, hits in zip(stored, store.search(vectors, top_k=1), strict=True):
            (found,) = store.get([hits[0].chunk_id]).values()
            assert embedding_text(found.chunk) == embedding_text(one.chunk)
    assert seen == len(store) == collection.ledger.totals().chunks
    rows = {row.document_id: row.chunks for row in collection.ledger.rows() if row.chunks}
    assert rows == {record.id: record.chunks for record in store.documents()}


def live(bench: Bench):
    return read_generations(bench.directory).live


def other_weights(bench: Bench, name: str = "fake") -> None:
    """Train a model anew: the same name, other weights."""
    bench.models[name] = replace(bench.models[name], weights="89ab")
