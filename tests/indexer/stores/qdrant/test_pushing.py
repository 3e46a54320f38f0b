"""How Qdrant follows the content: batches, retries, kills, and what is refused."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import models

from indexer.errors import StorageError, StoreUnreachableError
from indexer.searching.filters import Where
from indexer.stores.qdrant import batches, connection, pushing
from indexer.stores.qdrant import store as store_module
from indexer.stores.qdrant.connection import Connection
from indexer.stores.qdrant.layout import documents_of, read_about, switch_alias
from indexer.stores.qdrant.points import STATE_ID
from indexer.stores.qdrant.reader import QdrantReader
from indexer.stores.qdrant.settings import API_KEY_VARIABLE, QdrantSettings
from indexer.stores.qdrant.store import QdrantStore
from tests.indexer.stores.content import DIM, Opened, open_store, vector_of, vectors_of
from tests.indexer.stores.qdrant.push_target import change
from tests.indexer.stores.qdrant.rest import RestServer, serving

ROOT = Path(__file__).parents[4]
NAME = "notes-1"


@pytest.fixture
def server() -> Iterator[RestServer]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(store_module, "_GRAPH_POLL_S", 0.001)


def open_on(server: RestServer, directory: Path, **settings: object) -> Opened:
    opened = open_store("faiss", directory)
    store = QdrantStore(
        opened.database, opened.archive, QdrantSettings(url=server.url, **settings), NAME
    )
    opened.store = store
    return opened


@pytest.fixture
def opened(server: RestServer, tmp_path: Path) -> Iterator[Opened]:
    opened = open_on(server, tmp_path)
    yield opened
    opened.close()


def stored_texts(server: RestServer) -> set[str]:
    points, _ = server.client.scroll(NAME, limit=10_000)
    return {point.payload["text"] for point in points}


def test_a_collection_is_made_with_its_indexes_before_anything_is_loaded(
    server: RestServer, tmp_path: Path
) -> None:
    opened = open_on(
        server,
        tmp_path,
        shard_number=3,
        replication_factor=2,
        write_consistency_factor=2,
        quantization="binary",
        on_disk_vectors=True,
        hnsw_m=24,
        hnsw_ef_construct=200,
    )
    opened.add("a", ["alpha"])

    asked = server.created[NAME]
    assert (asked["shard_number"], asked["replication_factor"]) == (3, 2)
    assert asked["write_consistency_factor"] == 2
    assert asked["on_disk_payload"] is True
    dense = asked["vectors"]["dense"]
    assert (dense["size"], dense["distance"], dense["on_disk"]) == (DIM, "Dot", True)
    assert dense["hnsw_config"] == {"m": 24, "ef_construct": 200}
    assert dense["quantization_config"] == {"binary": {"always_ram": True}}
    assert asked["sparse_vectors"]["words"] == {"index": {"on_disk": True}, "modifier": "idf"}
    assert server.indexed[NAME] == {"document", "media_type", "modified_at", "revision"}
    assert server.indexed[documents_of(NAME)] == {*server.indexed[NAME], "kind"}
    first_points = next(n for n, one in enumerate(server.requests) if one.endswith("points/batch"))
    indexing = [n for n, one in enumerate(server.requests) if one.endswith("/index")]
    assert max(indexing) < first_points
    opened.close()


def test_the_graph_of_a_bulk_load_is_built_when_all_is_there(
    server: RestServer, tmp_path: Path
) -> None:
    source = open_store("faiss", tmp_path)
    for number in range(5):
        source.add(f"{number}", [f"text {number}"])
    store = QdrantStore(
        source.database, source.archive, QdrantSettings(url=server.url, upload_threads=3), NAME
    )
    seen: list[tuple[int, int]] = []
    graphs: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        graphs.append(server.created[NAME]["vectors"]["dense"]["hnsw_config"]["m"])

    assert store.build(progress=progress)

    assert seen[-1] == (5, 5)
    assert set(graphs) == {0}
    assert server.created[NAME]["vectors"]["dense"]["hnsw_config"]["m"] == 16
    store.close()
    source.close()


def test_a_load_waits_until_the_server_has_indexed_it(server: RestServer, tmp_path: Path) -> None:
    source = open_store("faiss", tmp_path)
    source.add("a", ["alpha"])
    settings = QdrantSettings(url=server.url)
    store = QdrantStore(source.database, source.archive, settings, NAME)
    server.statuses.extend(["yellow", "grey", "yellow"])

    assert store.build()
    assert not server.statuses
    server.statuses.extend(["yellow"] * 5)
    source.add("b", ["beta"])
    store.flush()  # a few more are indexed while searches go on
    assert len(server.statuses) == 4  # looked at once, and not waited for

    server.statuses.clear()
    rebuilt = QdrantStore(source.database, source.archive, settings, "other")
    server.statuses.extend(["yellow", "red"])
    with pytest.raises(StorageError, match=r"could not index 'other'.*server's log"):
        rebuilt.build()
    rebuilt.close()
    store.close()
    source.close()


def test_a_stopped_load_is_gone_on_with(
    server: RestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "_ROUND_CHUNKS", 2)
    source = open_store("faiss", tmp_path)
    for number in range(6):
        source.add(f"{number}", [f"text {number}"])
    settings = QdrantSettings(url=server.url)
    store = QdrantStore(source.database, source.archive, settings, NAME)
    rounds: list[int] = []

    assert not store.build(
        progress=lambda done, total: rounds.append(done), should_stop=lambda: len(rounds) == 1
    )
    store.close()
    asked = len(server.requests)
    assert stored_texts(server) == {"text 0", "text 1"}

    again = QdrantStore(source.database, source.archive, settings, NAME)
    assert again.build(progress=lambda done, total: rounds.append(done))
    assert rounds == [2, 4, 6]
    assert stored_texts(server) == {f"text {number}" for number in range(6)}
    assert len(server.requests) > asked
    again.close()
    source.close()


def test_requests_stay_far_below_the_limit_of_a_server(
    opened: Opened, server: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_REQUEST_BYTES", 60_000)

    opened.add("a", [f"{number} " + "word \u00e4\u6771 " * 800 for number in range(20)])

    assert server.largest < 120_000
    assert len(opened.store.get(opened.found("x", top_k=50))) == 20
    record = opened.store.documents()[0]
    reader = QdrantReader(QdrantSettings(url=server.url), NAME)
    assert reader.document(record.id) == opened.store.document(record.id)
    reader.close()


def test_a_long_text_comes_back_in_one_piece(
    opened: Opened, server: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.stores.qdrant import points

    monkeypatch.setattr(points, "_PART_BYTES", 1000)
    rng = np.random.default_rng(1)
    noise = "".join(chr(code) for code in rng.integers(0x4E00, 0x9000, 6000))
    (chunk,) = opened.add("a", [noise])
    reader = QdrantReader(QdrantSettings(url=server.url), NAME)

    assert reader.document(chunk.document_id) == opened.store.document(chunk.document_id)
    parts = server.client.count(documents_of(NAME)).count
    assert parts > 10
    opened.add("a", ["short now"])
    assert reader.document(chunk.document_id) == opened.store.document(chunk.document_id)
    assert server.client.count(documents_of(NAME)).count == 2  # the document and the state
    reader.close()


@pytest.mark.parametrize("fault", [0, 408, 429, 502, 503, 504])
def test_what_passes_is_tried_again(opened: Opened, server: RestServer, fault: int) -> None:
    opened.add("a", ["alpha"])
    server.faults.extend([fault, fault])

    opened.add("b", ["beta"])

    assert stored_texts(server) == {"alpha", "beta"}


@pytest.mark.parametrize("fault", [400, 403, 404, 500])
def test_what_does_not_pass_is_said_at_once(
    opened: Opened, server: RestServer, fault: int, caplog
) -> None:
    opened.add("a", ["alpha"])
    asked = len(server.requests)
    server.faults.append(fault)

    opened.add("b", ["beta"])  # it is kept, and said to be kept

    assert len(server.requests) == asked + 1
    assert "stored in the collection, but not in Qdrant yet" in caplog.text
    assert ("API key" in caplog.text) == (fault == 403)
    assert len(opened.store) == 2
    assert len(opened.found("x")) == 2  # the next search makes up for it
    assert stored_texts(server) == {"alpha", "beta"}


def test_a_server_that_is_away_is_named_and_not_waited_for_forever(tmp_path: Path, caplog) -> None:
    with serving() as server:
        opened = open_on(server, tmp_path, timeout_s=2.0)
        opened.add("a", ["alpha"])
    with pytest.raises(StoreUnreachableError, match=r"did not answer the .*check that the server"):
        opened.found("alpha")
    caplog.set_level(logging.WARNING)
    opened.add("b", ["beta"])
    opened.add("c", ["gamma"])
    assert caplog.text.count("not in Qdrant yet") == 1  # it is left alone for a while
    with pytest.raises(StoreUnreachableError):
        opened.store.flush()
    opened.close()
    assert "brought up to date by the next command" in caplog.text


def test_the_key_is_sent_and_never_said(
    server: RestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    caplog.set_level(logging.DEBUG)
    server.key = "the-key-nobody-may-see"
    monkeypatch.setenv(API_KEY_VARIABLE, server.key)
    opened = open_on(server, tmp_path)
    (chunk,) = opened.add("a", ["alpha"])
    assert opened.found("alpha") == [chunk.id]
    opened.close()

    monkeypatch.setenv(API_KEY_VARIABLE, "the-wrong-key-altogether")
    opened = open_on(server, tmp_path)
    with pytest.raises(StorageError, match=rf"API key.*{API_KEY_VARIABLE}") as caught:
        opened.found("alpha")
    opened.close()

    for secret in (server.key, "the-wrong-key-altogether"):
        assert secret not in caplog.text
        assert secret not in str(caught.value)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"nobody-may-see" not in file.read_bytes()


def test_an_old_server_is_refused_in_words(server: RestServer, tmp_path: Path) -> None:
    server.version = "1.9.2"
    opened = open_on(server, tmp_path)
    with pytest.raises(StorageError, match=r"version 1\.9\.2; 1\.16 or newer.*upgrade"):
        opened.store.flush()
    opened.close()


def check_whole(server: RestServer, directory: Path) -> None:
    """Search once, and check that Qdrant has what the content has and nothing else."""
    opened = open_on(server, directory)
    expected = {one.chunk.text for stored, _ in opened.store.scroll() for one in stored}
    assert expected
    opened.found("x")
    assert stored_texts(server) == expected
    reader = QdrantReader(QdrantSettings(url=server.url), NAME)
    assert reader.documents() == opened.store.documents()
    assert len(reader) == len(expected)
    assert opened.store.check_index() == []
    reader.close()
    opened.close()


class Killed(BaseException):
    """Ends a push as a kill does: nothing is tidied up."""


def test_a_push_that_ends_before_any_of_its_requests_is_made_up_for(
    server: RestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Connection.write
    left = 0

    def counted(self, what, request):
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return write(self, what, request)

    monkeypatch.setattr(Connection, "write", counted)
    for number in range(1, 40):
        opened = open_on(server, tmp_path)
        left = number
        try:
            change(opened, number)
        except Killed:
            ended = True
        else:
            ended = False
        left = 0
        opened.database.close()
        check_whole(server, tmp_path)
        if not ended:
            break
    assert number > 12
    assert not ended, "there are more requests than were tried"


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_killed_process_is_made_up_for(server: RestServer, tmp_path: Path, number: int) -> None:
    target = str(Path(__file__).with_name("push_target.py"))
    done = subprocess.run(
        [sys.executable, target, str(tmp_path), server.url, NAME, str(number)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    check_whole(server, tmp_path)


def test_points_that_vanish_are_missed_by_the_exact_count(
    opened: Opened, server: RestServer
) -> None:
    chunks = opened.add("a", ["alpha", "beta"])
    opened.store.flush()
    server.client.delete(NAME, [chunks[0].id])

    with pytest.raises(StorageError, match=r"has 1 chunks, not 2.*gircse reindex"):
        opened.store.flush()
    (fault,) = [one for one in opened.store.check_index() if "holds" in one.what]
    assert (fault.what, fault.is_damage) == ("it holds 1 chunks, the collection 2", True)

    opened.store.rebuild_index()
    assert opened.store.check_index() == []


def test_a_changed_point_is_found_by_comparison(opened: Opened, server: RestServer) -> None:
    chunks = opened.add("a", ["alpha", "beta", "gamma"])
    assert opened.store.check_index() == []
    server.client.update_vectors(
        NAME, [models.PointVectors(id=chunks[0].id, vector={"dense": vector_of("z").tolist()})]
    )
    server.client.set_payload(NAME, {"text": "forged"}, [chunks[1].id])

    faults = {fault.what for fault in opened.store.check_index(sample=64)}

    assert faults == {
        f"chunk {chunks[0].id} has another vector than in the collection",
        f"chunk {chunks[1].id} has other text or another document than in the collection",
    }


def test_a_server_brought_back_from_a_backup_catches_up(
    opened: Opened, server: RestServer, caplog
) -> None:
    opened.add("a", ["alpha"])
    state = server.client.retrieve(documents_of(NAME), [STATE_ID], with_payload=True)[0]
    opened.add("b", ["beta"])
    opened.add("c", ["gamma"])
    # As it was when only the first document was there.
    everything, _ = server.client.scroll(NAME)
    server.client.delete(
        NAME, [point.id for point in everything if point.payload["text"] != "alpha"]
    )
    server.client.upsert(
        documents_of(NAME), [models.PointStruct(id=STATE_ID, vector={}, payload=state.payload)]
    )

    opened.store.flush()

    assert stored_texts(server) == {"alpha", "beta", "gamma"}
    assert "another state of the collection" in caplog.text


def test_what_the_content_never_had_goes_when_a_stranger_state_is_found(
    opened: Opened, server: RestServer
) -> None:
    opened.add("a", ["alpha"])
    point = server.client.retrieve(NAME, [opened.found("x")[0]], with_vectors=True)[0]
    payload = {**point.payload, "document": "00000000-0000-4000-8000-000000000001"}
    server.client.upsert(
        NAME,
        [
            models.PointStruct(
                id="00000000-0000-4000-8000-000000000002", vector=point.vector, payload=payload
            )
        ],
    )
    server.client.set_payload(documents_of(NAME), {"stamp": "unknown"}, [STATE_ID])

    opened.add("b", ["beta"])

    assert server.client.count(NAME).count == 2
    assert stored_texts(server) == {"alpha", "beta"}


def test_a_touched_document_is_not_sent_again(opened: Opened, server: RestServer) -> None:
    (chunk,) = opened.add("a", ["alpha"])
    before = server.client.retrieve(NAME, [chunk.id])[0].payload

    opened.store.touch(chunk.document_id, modified_at=5000.0)

    after = server.client.retrieve(NAME, [chunk.id])[0].payload
    assert after == {**before, "modified_at": 5000.0}
    late = opened.store.search_text("alpha", top_k=1, where=Where(modified_after=4000.0))
    assert [hit.chunk_id for hit in late] == [chunk.id]


def test_bad_vectors_never_reach_the_server(opened: Opened, server: RestServer) -> None:
    opened.add("a", ["alpha"])
    asked = len(server.requests)
    for bad in (np.full((1, DIM), np.nan, dtype=np.float32), np.eye(1, DIM + 1, dtype=np.float32)):
        with pytest.raises(ValueError, match="vector"):
            opened.archive.append([b"x" * 32], bad)
        with pytest.raises(ValueError, match="vector"):
            opened.store.search(bad, top_k=1)
        with pytest.raises(ValueError, match="vector"):
            opened.store.vector_scores(bad[0], [])
    assert len(server.requests) == asked


def test_another_collections_points_are_never_written_over(
    opened: Opened, server: RestServer, tmp_path: Path
) -> None:
    opened.add("a", ["alpha"])
    metadata = server.client.get_collection(NAME).config.metadata
    metadata["gircse"]["dim"] = DIM + 1
    server.client.update_collection(NAME, metadata=metadata)
    other = open_on(server, tmp_path)
    other.add("b", ["beta"])

    with pytest.raises(StorageError, match=r"belongs to another collection.*nothing was written"):
        other.store.flush()
    assert stored_texts(server) == {"alpha"}
    other.close()


def test_an_alias_moves_in_one_request(opened: Opened, server: RestServer, tmp_path: Path) -> None:
    opened.add("a", ["alpha"])
    asking = Connection(QdrantSettings(url=server.url))
    switch_alias(asking, "notes", NAME)
    store = QdrantStore(opened.database, opened.archive, QdrantSettings(url=server.url), "notes-2")
    store.build()
    switch_alias(asking, "notes", "notes-2")
    assert server.alias_changes == [1, 2]  # the second takes it away and gives it anew at once
    assert QdrantReader(QdrantSettings(url=server.url), "notes").name == "notes-2"
    store.close()
    asking.close()


def test_an_alias_of_somebody_else_is_left_alone(opened: Opened, server: RestServer) -> None:
    opened.add("a", ["alpha"])
    asking = Connection(QdrantSettings(url=server.url))
    server.client.create_collection("theirs", vectors_config={})

    with pytest.raises(StorageError, match=r"'theirs' is the name of a collection"):
        switch_alias(asking, "theirs", NAME)
    with pytest.raises(StorageError, match=r"'theirs' is not of this program"):
        read_about(asking, "theirs")
    with pytest.raises(StorageError, match=r"'none' is not there"):
        QdrantReader(QdrantSettings(url=server.url), "none").search(vectors_of(["x"]), top_k=1)
    switch_alias(asking, "notes", NAME)
    reader = QdrantReader(QdrantSettings(url=server.url), "notes")
    assert reader.name == NAME
    assert reader.is_current()
    asking.close()


def test_a_reader_refuses_to_write(opened: Opened, server: RestServer) -> None:
    (chunk,) = opened.add("a", ["alpha"])
    reader = QdrantReader(QdrantSettings(url=server.url), NAME)
    for refused in (
        lambda: reader.delete([chunk.document_id]),
        lambda: reader.touch(chunk.document_id, modified_at=1.0),
        lambda: reader.rebuild_index(),
        lambda: reader.check_index(),
    ):
        with pytest.raises(StorageError, match=r"this only reads"):
            refused()
    with pytest.raises(StorageError, match=r"does not say which model"):
        _ = reader.config
    reader.close()
