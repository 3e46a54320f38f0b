import os

import pytest

from indexer.documents import document_id
from indexer.indexing.discovery import FileEntry
from indexer.storage.database import Database
from indexer.storage.ledger import STATES, Cause, Ledger

CAUSE = Cause("damaged", "it is damaged", "save it again")


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "collection.db")
    yield database
    database.close()


@pytest.fixture
def ledger(database):
    return Ledger(database)


def entry(name: str | bytes) -> FileEntry:
    return FileEntry(os.fsdecode(name), size=10, mtime_ns=1_700_000_000_123_456_789)


def row(ledger: Ledger, name: str | bytes):
    identity = document_id(entry(name).source)
    return ledger.get([identity])[identity]


def finish(ledger: Ledger, name: str, chunks: int = 3) -> None:
    ledger.finish(os.fsencode(name), size=10, mtime_ns=5, sha256="aa", chunks=chunks)


def test_a_file_goes_from_queued_to_ready(ledger):
    ledger.queue([entry("/a.md")])
    assert row(ledger, "/a.md").state == "queued"
    ledger.mark([b"/a.md"], "extracting")
    assert row(ledger, "/a.md").state == "extracting"
    ledger.mark([b"/a.md"], "embedding")
    finish(ledger, "/a.md")
    done = row(ledger, "/a.md")
    assert (done.state, done.size, done.mtime_ns, done.sha256, done.chunks) == (
        *("ready", 10, 5, "aa"),
        3,
    )
    assert (done.path, done.source) == (b"/a.md", "/a.md")


def test_a_late_mark_does_not_undo_what_is_finished(ledger):
    ledger.queue([entry("/a.md")])
    finish(ledger, "/a.md")
    ledger.mark([b"/a.md"], "extracting")
    assert row(ledger, "/a.md").state == "ready"


def test_queueing_again_keeps_what_is_stored_and_forgets_the_stamps(ledger):
    ledger.queue([entry("/a.md")])
    finish(ledger, "/a.md")
    ledger.queue([entry("/a.md")])
    again = row(ledger, "/a.md")
    assert (again.state, again.sha256, again.chunks) == ("queued", "aa", 3)
    assert (again.size, again.mtime_ns) == (None, None)


def test_giving_up_names_the_cause_and_empties_the_row(ledger):
    ledger.queue([entry("/a.md")])
    finish(ledger, "/a.md")
    ledger.give_up(b"/a.md", "failed", CAUSE, size=11, mtime_ns=6, sha256="bb", is_stored=False)
    given_up = row(ledger, "/a.md")
    assert (given_up.state, given_up.code, given_up.message, given_up.hint) == (
        *("failed", "damaged"),
        *("it is damaged", "save it again"),
    )
    assert (given_up.sha256, given_up.chunks, given_up.size) == ("bb", 0, 11)
    assert ledger.failures() == [given_up]


def test_giving_up_for_now_keeps_what_is_stored(ledger):
    ledger.queue([entry("/a.md")])
    finish(ledger, "/a.md")
    ledger.give_up(b"/a.md", "failed", CAUSE, size=11, mtime_ns=None, sha256="bb", is_stored=True)
    given_up = row(ledger, "/a.md")
    assert (given_up.sha256, given_up.chunks) == ("aa", 3)


def test_success_clears_the_cause(ledger):
    ledger.queue([entry("/a.md")])
    ledger.give_up(b"/a.md", "failed", CAUSE, size=11, mtime_ns=6, sha256=None, is_stored=False)
    ledger.queue([entry("/a.md")])
    finish(ledger, "/a.md")
    assert (row(ledger, "/a.md").code, row(ledger, "/a.md").hint) == (None, None)
    assert ledger.failures() == []


def test_odd_names_come_back_byte_for_byte(ledger):
    names = [b"/new\nline.md", b"/latin-\xe9.md", b"/back\\slash.md"]
    ledger.queue([entry(name) for name in names])
    assert [row(ledger, name).path for name in names] == names
    assert row(ledger, names[1]).source == r"/latin-\xe9.md"


def test_rows_come_in_order_of_source_page_by_page(ledger):
    ledger.queue([entry(f"/{number:03}.md") for number in (2, 0, 1, 3)])
    ledger.mark([b"/001.md"], "embedding")
    assert [found.source for found in ledger.rows()] == [f"/{n:03}.md" for n in range(4)]
    assert [found.source for found in ledger.rows(offset=1, limit=2)] == ["/001.md", "/002.md"]
    assert [found.source for found in ledger.rows(states=("embedding",))] == ["/001.md"]
    assert ledger.rows(offset=10**20, limit=2) == []


def test_a_root_covers_itself_and_what_is_below_but_no_neighbours(ledger):
    names = ["/d", "/d/a.md", "/d/e/b.md", "/d.md", "/d-2/a.md", "/d0", "/c/a.md"]
    ledger.queue([entry(name) for name in names])
    assert list(ledger.paths_under(b"/d")) == [b"/d", b"/d/a.md", b"/d/e/b.md"]
    assert list(ledger.paths_under(b"/d/a.md")) == [b"/d/a.md"]
    assert len(list(ledger.paths_under(b"/"))) == len(names)


def test_rows_may_be_removed_while_they_are_walked(ledger):
    ledger.queue([entry(f"/d/{number:04}.md") for number in range(503)])
    walked = 0
    for path in ledger.paths_under(b"/d"):
        walked += 1
        ledger.remove([ledger.at([path])[path].document_id])
    assert walked == 503
    assert ledger.rows() == []


def test_totals_count_files_chunks_and_states(ledger):
    assert ledger.totals().modified_at is None
    ledger.queue([entry(f"/{number}.md") for number in range(4)])
    finish(ledger, "/0.md", chunks=3)
    finish(ledger, "/1.md", chunks=4)
    ledger.queue([entry("/1.md")])  # changed: searchable as it was until it is done again
    totals = ledger.totals()
    assert (totals.documents, totals.chunks) == (2, 7)
    assert totals.states == {"queued": 3, "ready": 1}
    assert totals.modified_at is not None
    assert ledger.counts() == {**dict.fromkeys(STATES, 0), "queued": 3, "ready": 1}


def test_removing_counts_what_was_there(ledger):
    ledger.queue([entry("/a.md"), entry("/b.md")])
    assert ledger.remove([document_id("/a.md"), document_id("/unknown.md")]) == 1
    assert [found.source for found in ledger.rows()] == ["/b.md"]


def test_what_is_given_back_is_forgotten_or_as_searchable_as_before(ledger):
    ledger.queue([entry("/new.md"), entry("/known.md"), entry("/done.md"), entry("/other.md")])
    finish(ledger, "/known.md")
    finish(ledger, "/done.md")
    ledger.queue([entry("/known.md")])
    names = ("/new.md", "/known.md", "/done.md", "/unheard-of.md")
    ledger.give_back([document_id(entry(name).source) for name in names])
    assert ledger.totals().states == {"queued": 1, "ready": 2}
    known = row(ledger, "/known.md")
    assert (known.state, known.chunks, known.size) == ("ready", 3, None)  # is read again later
    assert row(ledger, "/done.md").size == 10


def test_rows_join_the_callers_transaction(ledger, database):
    def fail_after_writing():
        with database.write():
            ledger.queue([entry("/a.md")])
            raise RuntimeError("the store failed")

    with pytest.raises(RuntimeError):
        fail_after_writing()
    assert ledger.rows() == []
