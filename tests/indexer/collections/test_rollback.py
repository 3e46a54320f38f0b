"""Returning to the previous generation, and the probe before it is trusted."""

import shutil

import numpy as np
import pytest

from indexer.collections.canary import CanaryReport, probe
from indexer.collections.generations import read_generations
from indexer.collections.rollback import roll_back
from indexer.documents import Chunk, Document, Section, chunk_id, document_id, text_hash
from indexer.errors import CollectionBusyError, StorageError, UsageError
from tests.indexer.fake_model import vector
from tests.indexer.generation_making import (
    DOCUMENTS,
    PASSAGES,
    QueryEmbedder,
    add_document,
    check_sound,
    draft_index,
    make_collection,
    move_to_edition,
    open_library,
    passage,
    renamed,
    swap,
)


@pytest.fixture
def collection(tmp_path):
    with make_collection(tmp_path / "home") as collection:
        yield collection


def best(collection, text):
    with collection.using() as generation:
        vectors = QueryEmbedder(collection.model_info()).embed_queries([text])
        (hits,) = generation.store.search(vectors, top_k=1)
        return hits[0].score


def test_there_must_be_a_previous_generation(collection):
    with pytest.raises(UsageError, match="no previous generation"):
        roll_back(collection.directory)


def test_a_rollback_goes_back_and_forth(collection):
    move_to_edition(collection, 4)
    report = roll_back(collection.directory)
    assert (report.live.number, report.previous.number) == (1, 2)
    assert (report.missing, report.surplus) == (DOCUMENTS, 0)  # all have other content there
    assert collection.config.steps == 0
    check_sound(collection)
    assert roll_back(collection.directory).live.number == 2
    assert collection.config.steps == 4
    check_sound(collection)


def test_an_index_over_the_same_content_is_brought_up_to_date_first(collection):
    swap(collection, draft_index(collection))
    with collection.write_lock() as live:
        identity = live.store.documents()[0].id
        collection.delete_documents([identity])
        add_document(live, 70, edition=0)
        live.store.flush()
    report = roll_back(collection.directory)
    assert (report.live.number, report.missing, report.surplus) == (1, 0, 0)
    assert best(collection, passage(70, 1, 0)) == pytest.approx(1.0, abs=1e-5)
    assert best(collection, passage(0, 1, 0)) < 0.99
    # What is on the disk is up to date too, and not only this process's memory.
    with open_library(collection.home).open("docs") as again, again.store.dense.snapshot():
        assert len(again.store.dense) == DOCUMENTS * PASSAGES


def test_another_content_is_as_it_was_and_the_report_says_what_that_leaves_out(collection):
    move_to_edition(collection, 0)  # the same documents, embedded anew
    with collection.write_lock() as live:
        collection.delete_documents([live.store.documents()[0].id])
        add_document(live, 70, edition=0)
        add_document(live, 5, edition=3)
    report = roll_back(collection.directory)
    assert (report.missing, report.surplus) == (2, 1)


def test_a_lost_index_is_built_anew_from_the_vectors(collection, caplog):
    swap(collection, draft_index(collection))
    for path in (collection.directory / "index-1").iterdir():
        path.unlink()
    assert roll_back(collection.directory).live.number == 1
    check_sound(collection)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: shutil.rmtree(path / "content-1" / "vectors"), "vectors"),
        (lambda path: (path / "content-1" / "collection.db").unlink(), "collection.db is missing"),
        (lambda path: (path / "content-1" / "settings.json").write_text("{"), "settings.json"),
    ],
)
def test_a_damaged_previous_generation_is_not_returned_to(collection, damage, message):
    move_to_edition(collection, 4)
    damage(collection.directory)
    with pytest.raises(StorageError, match=message):
        roll_back(collection.directory)
    assert read_generations(collection.directory).live.number == 2
    check_sound(collection)


def test_a_rollback_waits_for_nobody(collection):
    move_to_edition(collection, 4)
    with (
        open_library(collection.home).open("docs") as other,
        other.write_lock("indexing"),
        pytest.raises(CollectionBusyError, match=r"this process \(indexing"),
    ):
        roll_back(collection.directory)


def test_a_probe_counts_and_samples(collection):
    with collection.using() as generation:
        report = probe(generation, sample=10_000)
        assert report == CanaryReport(DOCUMENTS * PASSAGES, DOCUMENTS * PASSAGES, report.found)
        assert report.found == report.probed
        assert 0 < probe(generation, sample=5, seed=1).probed <= 5
        collection.delete_documents([record.id for record in generation.store.documents()])
        assert probe(generation) == CanaryReport(0, 0, 0)


def test_many_equal_passages_find_each_other(collection):
    with collection.write_lock() as live:
        for number in range(100, 130):
            add_same(live, number)
    with collection.using() as generation:
        report = probe(generation, sample=2000)
        assert report.found == report.probed == DOCUMENTS * PASSAGES + 30


def add_same(generation, number):
    text, source = "Everybody says this.", f"/home/me/same-{number}.md"
    identity = document_id(source)
    chunk = Chunk(chunk_id(identity, 0, len(text), text), identity, text, 0, len(text), None, "")
    document = Document(identity, source, text, source, "markdown", (Section(0, len(text)),))
    with generation.database.write():
        rows = generation.archive.append([text_hash(text)], np.stack([vector(text)]))
        generation.store.upsert(document, [chunk], rows, modified_at=1.0, size_bytes=len(text))


def test_an_index_that_finds_other_things_is_not_put_to_use(collection, monkeypatch):
    real = type(collection.store).search
    monkeypatch.setattr(
        "indexer.stores.faiss.FaissStore.search",
        lambda self, vectors, **options: real(self, -vectors, **options),
    )
    with collection.using() as generation:
        with pytest.raises(StorageError, match=r"24 of 24 sampled chunks.*--index flat"):
            probe(generation, sample=10_000)

        def all_but_one(self, vectors, **options):
            found = real(self, vectors, **options)
            return [[], *found[1:]]  # of every batch of 16

        monkeypatch.setattr("indexer.stores.faiss.FaissStore.search", all_but_one)
        with pytest.raises(StorageError, match="2 of 24"):
            probe(generation, sample=10_000)
        generation.record = renamed(generation.record, index="hnsw")
        assert probe(generation, sample=10_000).found == 22  # right for an approximate one


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM chunks WHERE key = 1",
        "DELETE FROM chunk_words WHERE rowid = 1",
        "UPDATE documents SET chunks = chunks + 1 WHERE key = 1",
        "UPDATE state SET value = value + 1 WHERE name = 'chunks'",
    ],
)
def test_counts_that_differ_are_told(collection, damage):
    with collection.using() as generation:
        with generation.database.write() as connection:
            connection.execute(damage)
        with pytest.raises(StorageError, match=r"counts differ \(.*gircse verify"):
            probe(generation)
