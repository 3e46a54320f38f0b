"""Documents from one content to another, embedded and cut anew."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from indexer.collections.library import Library
from indexer.documents import Chunk, Document, embedding_text
from indexer.errors import StorageError
from indexer.indexing.chunking import Chunker, ChunkingConfig
from indexer.indexing.embedding import EmbeddingWriter
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from indexer.reindexing.copying import ContentCopy
from indexer.storage.archive import VectorArchive
from indexer.storage.database import Database
from indexer.storage.ledger import Ledger
from indexer.stores import reading
from tests.indexer.fake_model import DIM, FakeEmbedder, FakeModel, vector, write_tokenizer


@dataclass
class Turned(FakeEmbedder):
    """Another model: the same directions, turned round."""

    def embed_documents(self, texts, *, steps=None):
        return -super().embed_documents(texts, steps=steps)


@dataclass
class Place:
    """A content of its own."""

    folder: Path
    database: Database = field(init=False)
    archive: VectorArchive = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.database = Database(self.folder / "collection.db")
        self.archive = VectorArchive(self.folder, self.database, dim=DIM)

    def close(self) -> None:
        self.archive.close()
        self.database.close()


class Bench:
    """A collection over real files, and a second content beside it."""

    def __init__(self, tmp_path: Path) -> None:
        self.model = FakeModel(write_tokenizer(tmp_path))
        self.files = tmp_path / "files"
        self.files.mkdir()
        library = Library(tmp_path / "home", resolve=lambda name: self.model)
        self.live = library.create("docs", model=self.model, chunking=ChunkingConfig(40, 8, 20))
        self.target = Place(tmp_path / "target")
        self.embedder = Turned(self.model)

    def write(self, name: str, text: str) -> None:
        (self.files / name).write_text(text, encoding="utf-8")

    def index(self) -> None:
        index_paths(
            self.live,
            [self.files],
            embedder=lambda: FakeEmbedder(self.model),
            options=IndexOptions(prune=True, rehash=True),
        )

    def copy(
        self,
        *,
        cut: Callable[[Document], list[Chunk]] | None = None,
        shares_vectors: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
        steps: int = 3,
    ) -> ContentCopy:
        return ContentCopy(
            self.live,
            self.target,
            writer=EmbeddingWriter(self.target.archive, lambda: self.embedder, steps=steps),
            cut=cut,
            shares_vectors=shares_vectors,
            should_stop=should_stop,
        )

    def close(self) -> None:
        self.target.close()
        self.live.close()


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    for number in range(30):
        bench.write(f"{number:02}.md", f"# Paper {number}\n\n" + f"Words of {number}. " * 30)
    bench.write("caf\u00e9.txt", "A text with \u00fcmlauts, \u4e2d\u6587 and \U0001f600. " * 9)
    bench.write("twin-a.md", "# Twins\n\nBoth say the same.")
    bench.write("twin-b.md", "# Twins\n\nBoth say the same.")
    bench.write("empty.md", "")
    (bench.files / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing more")
    bench.index()
    yield bench
    bench.close()


def content(database: Database) -> dict[str, object]:
    """Return documents, texts, chunks and ledger, without what depends on the cutting."""
    with database.read() as connection:
        documents = [
            reading.load_document(connection, record.id)
            for record in reading.load_records(connection, None, offset=0, limit=None)
        ]
        records = reading.load_records(connection, None, offset=0, limit=None)
    return {
        "documents": documents,
        "stamps": [(record.id, record.modified_at, record.size_bytes) for record in records],
        "ledger": [
            (row.path, row.source, row.state, row.sha256, row.size, row.mtime_ns, row.code,
             row.message, row.hint, row.updated_at)
            for row in Ledger(database).rows()
        ],
    }  # fmt: skip


def chunks_of(database: Database) -> list[Chunk]:
    with database.read() as connection:
        return [
            item.chunk
            for batch, _ in reading.scroll_chunks(connection, batch_size=100)
            for item in batch
        ]


def vectors_of(place: object) -> dict[str, np.ndarray]:
    with place.database.read() as connection:
        found = connection.execute("SELECT id, row FROM chunks").fetchall()
    vectors = place.archive.read([row for _, row in found])
    return {identity: values for (identity, _), values in zip(found, vectors, strict=True)}


def check_embedded(bench: Bench) -> None:
    """Every chunk of the target has the vector of its own text, by the new model."""
    vectors = vectors_of(bench.target)
    chunks = chunks_of(bench.target.database)
    assert set(vectors) == {chunk.id for chunk in chunks}
    for chunk in chunks:
        np.testing.assert_allclose(vectors[chunk.id], -vector(embedding_text(chunk)), atol=1e-6)


def test_a_copy_holds_the_same_documents_with_new_vectors(bench):
    copy = bench.copy()
    with copy.compare() as comparison:
        before = comparison.pending()
    assert before.documents == 33
    assert before.chunks == len(bench.live.store)
    assert before.files == 35
    assert copy.advance()
    with copy.compare() as comparison:
        assert not comparison.pending()
    assert content(bench.target.database) == content(bench.live.database)
    same = {chunk.id: chunk for chunk in chunks_of(bench.live.database)}
    assert {chunk.id: chunk for chunk in chunks_of(bench.target.database)} == same
    check_embedded(bench)
    assert bench.embedder.steps == {3}
    # equal texts are embedded once; nothing was taken from the vectors of the other model
    assert len(bench.embedder.texts) == len({embedding_text(chunk) for chunk in same.values()})
    assert copy.taken_over == 0


def test_the_words_are_searched_as_before(bench):
    bench.copy().advance()
    for query in ["twins", "words 7", "\u4e2d\u6587"]:
        with bench.live.database.read() as one, bench.target.database.read() as other:
            from indexer.stores.lexical import search_words

            expected = search_words(one, query, top_k=20, documents=None)
            assert expected
            assert search_words(other, query, top_k=20, documents=None) == expected


def test_changes_of_the_source_arrive_with_the_next_pass(bench):
    copy = bench.copy()
    copy.advance()
    asked = len(bench.embedder.texts)
    bench.write("03.md", "# Paper 3\n\nQuite another text.")
    bench.write("new.txt", "A new file came.")
    (bench.files / "07.md").unlink()
    (bench.files / "empty.md").unlink()
    bench.write("broken.pdf", "%PDF-1.4\nstill nothing")
    bench.index()
    with copy.compare() as comparison:
        pending = comparison.pending()
    assert (pending.documents, pending.gone) == (2, 1)
    assert copy.advance()
    with copy.compare() as comparison:
        assert not comparison.pending()
    assert content(bench.target.database) == content(bench.live.database)
    check_embedded(bench)
    assert len(bench.embedder.texts) - asked == 2


def test_a_touched_file_costs_no_model_call(bench):
    copy = bench.copy()
    copy.advance()
    asked = len(bench.embedder.texts)
    path = bench.files / "05.md"
    path.touch()
    bench.index()
    assert copy.advance()
    assert content(bench.target.database) == content(bench.live.database)
    assert len(bench.embedder.texts) == asked


def test_another_cutting_makes_other_chunks_of_the_same_text(bench):
    chunker = Chunker(bench.model.tokenizer_file, ChunkingConfig(80, 0, 0))
    copy = bench.copy(cut=chunker.chunk)
    assert copy.advance()
    with copy.compare() as comparison:
        assert not comparison.pending()
    assert content(bench.target.database) == content(bench.live.database)
    chunks = chunks_of(bench.target.database)
    assert 0 < len(chunks) < len(chunks_of(bench.live.database))
    assert not any(chunk.context for chunk in chunks)
    check_embedded(bench)
    rows = Ledger(bench.target.database).rows(states=("ready",))
    assert sum(row.chunks for row in rows) == len(chunks)
    assert Ledger(bench.target.database).totals().chunks == len(chunks)


def test_vectors_of_the_same_model_are_taken_over(bench):
    chunker = Chunker(bench.model.tokenizer_file, ChunkingConfig(40, 8, 20))
    bench.embedder = FakeEmbedder(bench.model)
    copy = bench.copy(cut=chunker.chunk, shares_vectors=True)
    assert copy.advance()
    assert bench.embedder.texts == []
    assert copy.taken_over == len(bench.target.archive) == len(bench.live.archive)
    expected = vectors_of(bench.live)
    for identity, values in vectors_of(bench.target).items():
        np.testing.assert_array_equal(values, expected[identity])


def test_a_stopped_copy_goes_on_where_it_was(bench):
    stops = iter([False] * 6 + [True] * 1000)
    assert not bench.copy(should_stop=lambda: next(stops)).advance()
    asked = len(bench.embedder.texts)
    assert 0 < asked < len(bench.live.store)
    assert len(bench.target.archive) == asked
    assert bench.copy().advance()
    assert content(bench.target.database) == content(bench.live.database)
    check_embedded(bench)
    assert len(bench.embedder.texts) == len(set(bench.embedder.texts))


def test_a_document_larger_than_a_slice_keeps_what_is_embedded(bench):
    bench.write("huge.txt", "".join(f"Sentence number {n} of many. " for n in range(4000)))
    bench.index()
    calls = []
    bench.embedder.embed_documents = lambda texts, steps=None: (
        calls.append(len(texts)),
        np.stack([-vector(text) for text in texts]),
    )[1]
    for _ in range(200):
        seen = len(calls)
        stop = lambda seen=seen: len(calls) > seen + 1  # noqa: E731
        if bench.copy(should_stop=stop).advance():
            break
    else:
        pytest.fail("it never came to an end")
    assert len(calls) > 10
    assert sum(calls) == len(bench.target.archive)
    check_embedded(bench)


def test_a_failing_model_leaves_whole_documents_only(bench):
    bench.embedder.fails_after = 40
    with pytest.raises(RuntimeError, match="out of memory"):
        bench.copy().advance()
    with bench.target.database.read() as connection:
        wrong = connection.execute(
            "SELECT count(*) FROM documents d WHERE chunks != "
            "(SELECT count(*) FROM chunks c WHERE c.document = d.key)"
        ).fetchone()
    assert wrong == (0,)
    bench.embedder.fails_after = None
    assert bench.copy().advance()
    check_embedded(bench)


def test_other_compression_is_no_change(bench):
    copy = bench.copy()
    copy.advance()
    with bench.live.database.write() as connection:
        rows = connection.execute("SELECT document, text FROM document_texts").fetchall()
        connection.executemany(
            "UPDATE document_texts SET text = ? WHERE document = ?",
            [(zlib.compress(zlib.decompress(text), 9), key) for key, text in rows],
        )
    assert copy.advance()  # bytes differ: they are copied again, this once
    with copy.compare() as comparison:
        assert not comparison.pending()


def test_a_damaged_text_is_named(bench):
    with bench.live.database.write() as connection:
        (identity,) = connection.execute("SELECT id FROM documents LIMIT 1").fetchone()
        connection.execute(
            "UPDATE document_texts SET text = x'00ff' "
            "WHERE document = (SELECT key FROM documents WHERE id = ?)",
            (identity,),
        )
    with pytest.raises(StorageError, match=f"text of document {identity} is damaged"):
        bench.copy().advance()


def test_a_source_that_changes_all_the_time_is_followed(bench):
    done = threading.Event()

    def keep_changing() -> None:
        for turn in range(12):
            bench.write(f"{turn:02}.md", f"# Paper {turn}\n\nChanged in turn {turn}. " * 5)
            (bench.files / f"{29 - turn}.md").unlink()
            bench.write(f"added-{turn}.txt", f"This came in turn {turn}.")
            bench.index()
        done.set()

    thread = threading.Thread(target=keep_changing)
    thread.start()
    copy = bench.copy()
    passes = 0
    while not done.is_set():
        assert copy.advance()
        passes += 1
    thread.join()
    assert copy.advance()
    assert passes > 1
    with copy.compare() as comparison:
        assert not comparison.pending()
    assert content(bench.target.database) == content(bench.live.database)
    check_embedded(bench)
