"""Open collections follow swaps; what is at work in the old generation goes on in it."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.collections.generations import read_generations, rollback, update
from indexer.collections.search_defaults import SearchDefaults
from indexer.errors import (
    CollectionNotFoundError,
    FingerprintMismatchError,
    FormatVersionError,
    StaleCollectionError,
    StorageError,
)
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from indexer.searching.search import SearchRequest
from indexer.stores.faiss import FaissStore
from tests.indexer.fake_model import FakeEmbedder, FakeModel, write_tokenizer
from tests.indexer.generation_making import (
    DOCUMENTS,
    PASSAGES,
    QueryEmbedder,
    add_document,
    check_answer,
    draft_content,
    draft_index,
    make_collection,
    move_to_edition,
    open_library,
    passage,
    swap,
    unpack_format_1,
)

WORDS = SearchRequest("document 3", mode="lexical")


@pytest.fixture
def collection(tmp_path):
    with make_collection(tmp_path / "home") as collection:
        yield collection


@pytest.fixture
def other(collection):
    """The same collection, as another process would have it open."""
    with open_library(collection.home).open("docs") as other:
        yield other


def test_an_open_collection_moves_on_at_its_next_search(collection, other):
    searcher = other.searcher(lambda: QueryEmbedder(other.model_info()))
    by_meaning = SearchRequest(passage(3, 1, 4), mode="dense")
    assert check_answer(searcher.search(WORDS)) == 0
    move_to_edition(collection, 4)
    result = searcher.search(by_meaning)
    assert check_answer(result) == 4
    assert result.hits[0].chunk.text == passage(3, 1, 4)
    assert result.hits[0].score == pytest.approx(1.0, abs=1e-5)
    assert other.config.steps == other.query_steps() == 4
    with other.write_lock():
        rollback(other.directory)
    assert check_answer(searcher.search(WORDS)) == 0


def test_a_block_works_in_one_generation_whatever_is_swapped(collection, other):
    with other.using() as generation:
        move_to_edition(collection, 4)
        move_to_edition(collection, 5)  # and so its files are gone
        assert generation.is_gone
        with other.using() as inner:
            assert inner is generation
        assert other.store is generation.store
        assert other.config.steps == 0
        with generation.database.read() as connection:
            assert connection.execute("SELECT count(*) FROM documents").fetchone() == (DOCUMENTS,)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(other.config.steps))
        thread.start()
        thread.join()
        assert seen == [5]
    assert other.config.steps == 5
    with pytest.raises(StorageError, match="was closed"):
        generation.ledger.totals()


def test_the_old_generation_is_closed_when_its_last_user_is_done(collection, other):
    entered, leave = threading.Event(), threading.Event()

    def work():
        with other.using():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(60)
    with other.using() as generation:
        pass
    move_to_edition(collection, 4)
    with other.using() as current:
        assert current is not generation
    generation.ledger.totals()  # somebody is still at work in it
    leave.set()
    thread.join()
    with pytest.raises(StorageError, match="was closed"):
        generation.ledger.totals()


def test_parts_that_were_handed_out_survive_one_swap(collection, other):
    ledger, store = other.ledger, other.store
    move_to_edition(collection, 4)
    assert other.config.steps == 4
    assert ledger.totals().documents == len(store.documents()) == DOCUMENTS
    move_to_edition(collection, 5)
    assert other.config.steps == 5
    with pytest.raises(StorageError, match="was closed"):
        ledger.totals()


def test_closing_lets_those_finish_who_are_at_work(collection):
    with collection.using() as generation:
        collection.close()
        generation.ledger.totals()
        collection.close()
    with pytest.raises(StorageError, match="was closed"):
        generation.ledger.totals()
    with pytest.raises(StorageError, match=r"'docs' was closed; open the collection again"):
        collection.store.documents()


def test_swaps_leave_no_file_open(collection, other):
    open_files = []
    for edition in range(1, 6):
        move_to_edition(collection, edition)
        assert check_answer(other.searcher(None).search(WORDS)) == edition
        open_files.append(len(list(Path("/dev/fd").iterdir())))
    assert open_files[-1] <= open_files[1]


def test_a_generation_that_could_not_be_opened_is_tried_again(collection, other, monkeypatch):
    move_to_edition(collection, 4)

    def fails(directory, record):
        raise StorageError("too many open files")

    monkeypatch.setattr("indexer.collections.live_generation.Generation", fails)
    for _ in range(2):  # not even the second time may the old one answer
        with pytest.raises(StorageError, match="too many open files"), other.using():
            pass
    monkeypatch.undo()
    with other.write_lock() as live:
        assert live.config.steps == 4
        assert live.record.number == 2


def test_what_was_measured_is_no_swap(collection, other):
    with other.using() as generation:
        pass
    update(collection.directory, read_generations(collection.directory).live)
    with other.using() as again:
        assert again is generation


def test_the_write_lock_is_held_in_the_generation_that_is_live_by_then(collection, other):
    with other.using() as old:
        move_to_edition(collection, 4)
        with other.write_lock() as live:
            assert live.config.steps == other.config.steps == 4
            add_document(live, 99, edition=4)
        assert other.store is old.store
    with collection.using() as live:
        assert len(live.store) == (DOCUMENTS + 1) * PASSAGES


def test_indexing_begins_in_the_generation_that_is_live_by_then(collection, other, tmp_path):
    write_tokenizer(tmp_path)
    (tmp_path / "new.txt").write_text("Something new in edition 4.")
    embedder = FakeEmbedder(other.model_info())
    with other.using():  # as a page of the app that began before
        move_to_edition(collection, 4)
        index_paths(
            other, [tmp_path / "new.txt"], embedder=lambda: embedder, options=IndexOptions(jobs=1)
        )
    assert embedder.steps == {4}
    with collection.using() as live:
        assert live.record.number == 2
        assert len(live.store.documents()) == DOCUMENTS + 1
        (hits,) = live.store.search(live.archive.read([len(live.archive) - 1]), top_k=1)
        assert hits[0].score == pytest.approx(1.0, abs=1e-5)


def test_a_swap_of_the_index_loses_no_change_of_the_content(collection, other):
    draft = draft_index(collection)
    with other.write_lock() as live:
        add_document(live, 50, edition=0)  # after the draft's index was written
    swap(collection, draft)
    with collection.write_lock() as live:
        add_document(live, 51, edition=0)  # the previous index knows nothing of it
    for handle in (collection, other):
        with handle.using() as generation:
            found = generation.store.search(
                QueryEmbedder(handle.model_info()).embed_queries([passage(51, 0, 0)]), top_k=1
            )
            assert found[0][0].score == pytest.approx(1.0, abs=1e-5)
            assert generation.record.number == 2


def test_indexes_over_one_content_do_not_disown_each_other(collection, caplog):
    """Each has a file of its own that belongs to the database; none is set aside."""
    for _ in range(4):
        swap(collection, draft_index(collection))
        with collection.write_lock() as live:
            add_document(live, 60, edition=0)
            live.store.flush()
        with collection.write_lock():
            rollback(collection.directory)
        with collection.write_lock() as live:
            assert len(live.store) == (DOCUMENTS + 1) * PASSAGES
            live.store.flush()
            live.store.delete([add_document(live, 60, edition=0)])
    with open_library(collection.home).open("docs") as again:
        embedder = QueryEmbedder(again.model_info())
        again.searcher(lambda: embedder).search(SearchRequest("anything", mode="dense"))
    assert caplog.text == ""
    assert not list(collection.directory.rglob("*.damaged"))


def test_a_searcher_with_the_model_of_before_is_refused_after_a_change_of_model(collection, other):
    old = other.model_info()
    searcher = other.searcher(lambda: QueryEmbedder(old))
    by_meaning = SearchRequest("document", mode="dense")
    searcher.search(by_meaning)
    new = replace(old, weights="4567")
    collection._resolve = lambda name: new
    move_to_edition(collection, 3)
    with pytest.raises(FingerprintMismatchError, match="weights: 4567 / 0123"):
        searcher.search(by_meaning)
    assert check_answer(other.searcher(lambda: QueryEmbedder(new)).search(by_meaning)) == 3
    assert check_answer(searcher.search(WORDS)) == 3  # words are words under every model


def test_another_collection_in_its_place_is_not_taken_for_the_next_generation(collection, other):
    collection.close()
    library = open_library(collection.home)
    library.delete("docs")
    library.create("docs", model=FakeModel(collection.home / "tokenizer.json")).close()
    with pytest.raises(CollectionNotFoundError, match="another one made in its place"):
        other.searcher(None).search(WORDS)


def test_a_deleted_collection_is_searched_to_the_end_by_those_who_have_it_open(collection, other):
    other.searcher(None).search(WORDS)
    collection.close()
    open_library(collection.home).delete("docs")
    assert check_answer(other.searcher(None).search(WORDS)) == 0
    with pytest.raises(CollectionNotFoundError, match="was deleted"):
        other.delete_documents([])


def test_a_search_whose_generation_is_swept_away_begins_again(collection, other, monkeypatch):
    """Two swaps within one search take its files; it must not tell the user."""
    searcher = other.searcher(lambda: QueryEmbedder(other.model_info()))
    real, editions = FaissStore.search, iter([4, 5])

    def search(self, vectors, **options):
        if (edition := next(editions, None)) is not None:
            move_to_edition(collection, edition)
            move_to_edition(collection, edition + 5)
            raise StorageError("its files are gone")
        return real(self, vectors, **options)

    monkeypatch.setattr(FaissStore, "search", search)
    assert check_answer(searcher.search(SearchRequest("document", mode="dense"))) == 10


def test_a_real_fault_is_not_searched_around(collection, other, monkeypatch):
    calls = []

    def search(self, vectors, **options):
        calls.append(1)
        raise StorageError("the disk is broken")

    monkeypatch.setattr("indexer.stores.faiss.FaissStore.search", search)
    with pytest.raises(StorageError, match="the disk is broken"):
        other.searcher(lambda: QueryEmbedder(other.model_info())).search(
            SearchRequest("document", mode="dense")
        )
    assert len(calls) == 1


def test_what_was_found_for_old_vectors_is_not_kept_for_new_ones(collection, other):
    with other.using():  # as `gircse tune`, which searches for minutes
        swap(collection, draft_index(collection))
        other.set_search_defaults(SearchDefaults(dense_weight=0.3))
        assert collection.search_defaults().dense_weight == 0.3
        move_to_edition(collection, 4)
        with pytest.raises(StaleCollectionError, match=r"as generation 3 meanwhile.*again"):
            other.set_search_defaults(SearchDefaults(dense_weight=0.9))
    assert other.search_defaults() == SearchDefaults()


def test_a_draft_that_is_not_published_is_seen_by_nobody(collection, other):
    draft_content(collection, 4)
    draft_index(collection)
    assert check_answer(other.searcher(None).search(WORDS)) == 0
    assert read_generations(collection.directory).live.number == 1


def test_who_may_only_read_follows_swaps_too(collection, monkeypatch):
    monkeypatch.setattr("indexer.storage.database.is_writable", lambda path: False)
    with open_library(collection.home).open("docs") as reader:
        searcher = reader.searcher(lambda: QueryEmbedder(reader.model_info()))
        assert check_answer(searcher.search(WORDS)) == 0
        monkeypatch.undo()
        move_to_edition(collection, 4)
        monkeypatch.setattr("indexer.storage.database.is_writable", lambda path: False)
        assert check_answer(searcher.search(SearchRequest("document", mode="dense"))) == 4
        with reader.using() as generation, pytest.raises(StorageError, match="for reading only"):
            add_document(generation, 1, edition=4)


def test_an_older_collection_is_brought_up_to_date_by_who_may_write(tmp_path, monkeypatch):
    library = unpack_format_1(tmp_path / "home")
    monkeypatch.setattr("indexer.storage.database.is_writable", lambda path: False)
    with pytest.raises(FormatVersionError, match="index into the collection once"):
        library.open("old")
    assert "index into the collection once" in (library.summaries()[0].problem or "")
    monkeypatch.undo()
    library.open("old").close()
    monkeypatch.setattr("indexer.storage.database.is_writable", lambda path: False)
    with library.open("old") as collection:
        assert len(collection.store.documents()) == 3
    assert library.summaries()[0].problem is None
