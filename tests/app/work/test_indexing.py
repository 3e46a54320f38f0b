"""The worker thread with everything real below it."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import resources
from app.errors import UploadLimitError
from app.library.file_states import (
    FileLine,
    finished_lines,
    problems,
    tally_text,
    unfinished_count,
    unfinished_lines,
)
from app.services import Services
from app.work import indexing
from app.work.activity import Activity
from app.work.uploads import Upload
from indexer.collections.write_lock import WriteLock
from indexer.embedder import Embedder, ModelError
from indexer.errors import CollectionBusyError, CollectionNotFoundError
from tests.app.conftest import DOCUMENTS, BuildServices
from tests.app.doubles import GatedEmbedder
from tests.app.waiting import wait_until

TAP = DOCUMENTS / "home" / "dripping-tap.md"
PDF = DOCUMENTS / "kitchen" / "storing-food-safely.pdf"


@pytest.fixture(autouse=True)
def gated(home: Path, minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> Iterator[GatedEmbedder]:
    """The default model behind a gate that is open unless a test closes it."""
    embedder = GatedEmbedder(minilm)
    embedder.gate.set()
    monkeypatch.setattr(resources, "load_embedder", lambda name, **_: embedder)
    yield embedder
    embedder.gate.set()


def upload(path: Path, name: str | None = None) -> Upload:
    return of_bytes(name or path.name, path.read_bytes())


def of_bytes(name: str, content: bytes) -> Upload:
    return Upload(name, io.BytesIO(content), len(content))


def is_idle(services: Services) -> bool:
    return not services.worker.activity().is_busy


def lines(services: Services, name: str = "notes") -> list[FileLine]:
    with services.collections.use(name) as collection:
        return unfinished_lines(collection.ledger, services.activity(name), limit=9)


def states(services: Services, name: str = "notes") -> dict[str, int]:
    with services.collections.use(name) as collection:
        return collection.ledger.totals().states


def test_every_upload_ends_in_a_state_with_its_cause(build_services: BuildServices) -> None:
    services = build_services()
    services.create_collection("notes")
    services.add_uploads(
        "notes",
        [
            upload(TAP),
            upload(PDF),
            of_bytes("broken.pdf", PDF.read_bytes()[:700]),
            of_bytes("empty.txt", b""),
            of_bytes("photo.bin", bytes(range(256)) * 8),
        ],
    )
    wait_until(lambda: is_idle(services))
    assert services.queue.jobs() == []
    found = {line.name: line for line in finished_lines(services.activity("notes").finished)}
    assert found["dripping-tap.md"].label == "ready"
    assert "passage" in found["dripping-tap.md"].detail
    assert found["broken.pdf"].label == "failed"
    assert found["empty.txt"].label == "no text"
    assert found["photo.bin"].label == "skipped"
    with services.collections.use("notes") as collection:
        found = {p.line.name: p.line for p in problems(collection.ledger, offset=0, limit=10)}
        assert len(collection.store.documents()) == 2
    assert set(found) == {"broken.pdf", "empty.txt", "photo.bin"}
    assert found["empty.txt"].detail == "The file is empty (0 bytes)."
    assert "fetch it again" in found["broken.pdf"].detail


def test_a_file_that_failed_is_read_again_when_asked(build_services: BuildServices) -> None:
    services = build_services()
    services.create_collection("notes")
    (path,) = services.add_uploads("notes", [of_bytes("note.txt", b" ")])
    wait_until(lambda: is_idle(services))
    assert states(services) == {"no_text": 1}
    path.write_text("Now there is something to read about soaking beans overnight.")
    services.retry("notes", [path])
    wait_until(lambda: is_idle(services))
    assert states(services) == {"ready": 1}


def test_files_tell_how_far_they_are(build_services: BuildServices, gated: GatedEmbedder) -> None:
    gated.gate.clear()
    services = build_services()
    services.create_collection("notes")
    services.add_uploads("notes", [upload(TAP)])
    wait_until(gated.is_asked.is_set)
    services.add_uploads("notes", [upload(PDF)])
    wait_until(lambda: services.activity("notes").waiting)
    wait_until(lambda: "embedding" in lines(services)[0].label)
    at_work, waiting = lines(services)
    assert at_work.name == "dripping-tap.md"
    assert re.fullmatch(r"embedding 0 of \d+ passages", at_work.label)
    assert (waiting.name, waiting.label) == ("storing-food-safely.pdf", "waiting")
    assert unfinished_count(services.activity("notes")) == 2
    gated.gate.set()
    wait_until(lambda: is_idle(services))
    assert states(services) == {"ready": 2}
    assert lines(services) == []
    assert tally_text(services.activity("notes")) == "2 ready"


def test_what_was_not_done_is_done_after_a_restart(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    first = build_services(is_started=False)
    first.create_collection("notes")
    first.add_uploads("notes", [upload(TAP), upload(PDF)])
    first.close()

    again = build_services()
    wait_until(lambda: is_idle(again))
    assert states(again) == {"ready": 2}
    assert again.queue.jobs() == []


def test_an_app_that_ends_in_the_middle_loses_nothing_and_does_nothing_twice(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    gated.gate.clear()
    first = build_services()
    first.create_collection("notes")
    first.add_path("notes", first.check_path(str(DOCUMENTS)))
    wait_until(gated.is_asked.is_set)
    gated.gate.set()
    first.close()
    assert len(first.queue.jobs()) == 1
    before = gated.texts

    again = build_services()
    wait_until(lambda: is_idle(again))  # the whole sample, refined
    assert states(again) == {"ready": 48}
    with again.collections.use("notes") as collection:
        passages = len(collection.store)
    assert 0 < before < passages
    assert gated.texts <= passages


def test_another_writer_is_named_and_waited_for(build_services: BuildServices, home: Path) -> None:
    services = build_services()
    services.create_collection("notes")
    with WriteLock(home / "collections/notes", name="notes").hold("a backup"):
        services.add_uploads("notes", [upload(TAP)])
        wait_until(lambda: services.activity("notes").held)
        (held,) = services.activity("notes").held
        assert "a backup" in held.reason
        assert held.is_retried
        assert services.activity("notes").is_busy
    wait_until(lambda: is_idle(services))
    assert states(services) == {"ready": 1}


def test_a_run_can_be_paused_and_continued(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    gated.gate.clear()
    services = build_services()
    services.create_collection("notes")
    services.add_path("notes", services.check_path(str(DOCUMENTS)))
    wait_until(gated.is_asked.is_set)
    running = services.activity("notes").running
    assert running is not None
    services.worker.stop(running.job)
    stopping = services.activity("notes").running
    assert stopping is not None
    assert stopping.is_stopping
    gated.gate.set()
    wait_until(lambda: is_idle(services))
    (stopped,) = services.activity("notes").stopped
    ready = states(services).get("ready", 0)
    assert ready < 48

    services.worker.resume(stopped)
    wait_until(  # the whole sample, refined
        lambda: is_idle(services) and not services.activity("notes").stopped
    )
    assert states(services) == {"ready": 48}


@pytest.mark.parametrize("kind", ["files", "folder"])
def test_a_job_that_is_cancelled_at_work_keeps_what_is_ready_and_leaves_nothing_else(
    build_services: BuildServices, gated: GatedEmbedder, home: Path, kind: str
) -> None:
    services = build_services()
    services.create_collection("notes")
    services.add_uploads("notes", [upload(TAP)])
    wait_until(lambda: states(services) == {"ready": 1})
    gated.gate.clear()
    gated.is_asked.clear()
    if kind == "files":
        texts = [of_bytes(f"{n}.txt", f"Text {n} on beans".encode()) for n in range(40)]
        services.add_uploads("notes", [upload(TAP), *texts])
    else:
        services.add_path("notes", services.check_path(str(DOCUMENTS)))
    services.add_uploads("notes", [upload(PDF)])
    wait_until(gated.is_asked.is_set)
    services.worker.cancel("notes")
    gated.gate.set()
    wait_until(lambda: is_idle(services) and not services.queue.dropped())
    assert services.queue.jobs() == []
    left = states(services)
    assert set(left) == {"ready"}
    assert 1 <= left["ready"] < 40
    with services.collections.use("notes") as collection:
        assert len(collection.store.documents()) == left["ready"]
    copies = [path for path in (home / "uploads").rglob("*") if path.suffix in {".txt", ".md"}]
    assert len(copies) == (left["ready"] if kind == "files" else 1)


def test_a_cancelled_job_is_tidied_up_after_a_restart(
    build_services: BuildServices, home: Path
) -> None:
    first = build_services(is_started=False)
    first.create_collection("notes")
    first.add_uploads("notes", [upload(TAP)])
    first.worker.cancel("notes")
    first.close()
    again = build_services()
    wait_until(lambda: not again.queue.dropped())
    assert states(again) == {}
    assert not list((home / "uploads").rglob("*.md"))


def test_a_job_of_another_collection_is_waited_for(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    gated.gate.clear()
    services = build_services()
    services.create_collection("notes")
    services.create_collection("other")
    services.add_uploads("other", [upload(TAP)])
    wait_until(gated.is_asked.is_set)
    services.add_uploads("notes", [upload(PDF)])
    activity = services.activity("notes")
    assert activity.running is None
    assert activity.ahead is not None
    assert activity.ahead.job.collection == "other"
    assert [line.label for line in lines(services)] == ["waiting"]
    services.worker.pause("notes")
    gated.gate.set()
    wait_until(lambda: states(services, "other") == {"ready": 1})
    assert states(services) == {}
    assert services.activity("notes").stopped
    services.worker.go_on("notes")
    wait_until(lambda: states(services) == {"ready": 1})


def test_a_renamed_collection_takes_its_jobs_and_copies_along(
    build_services: BuildServices, home: Path
) -> None:
    services = build_services(is_started=False)
    services.create_collection("notes")
    (path,) = services.add_uploads("notes", [upload(TAP)])
    with services.collections.use("notes") as collection:
        identity = collection.id
    services.upkeep.rename("notes", "papers")
    services.create_collection("notes")
    (other,) = services.add_uploads("notes", [upload(PDF)])  # of another one, by the old name
    services.start()
    wait_until(lambda: is_idle(services))
    assert states(services, "papers") == {"ready": 1}
    with services.collections.use("papers") as collection:
        assert collection.id == identity
        (record,) = collection.store.documents()
    assert Path(record.source) == path
    assert path.is_file()
    assert path.parts[:-2] != other.parts[:-2]
    services.delete_collection("papers")
    assert not path.exists()
    assert other.exists()


def test_a_rename_waits_for_uploads_that_are_being_written(build_services: BuildServices) -> None:
    services = build_services(is_started=False)
    services.create_collection("notes")
    renaming = threading.Thread(target=services.upkeep.rename, args=("notes", "papers"))

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not renaming.ident:
                renaming.start()
                renaming.join(0.5)
            return super().read(size)

    content = TAP.read_bytes()
    services.add_uploads("notes", [Upload(TAP.name, Slow(content), len(content))])
    renaming.join(30)
    assert services.library.names() == ["papers"]
    (job,) = services.queue.jobs()
    assert job.collection == "papers"
    services.start()
    wait_until(lambda: is_idle(services))
    assert states(services, "papers") == {"ready": 1}


def test_a_collection_that_is_deleted_during_an_upload_leaves_no_job(
    build_services: BuildServices,
) -> None:
    services = build_services()
    services.create_collection("notes")

    class Deleting(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if "notes" in services.library.names():
                services.delete_collection("notes")
            return super().read(size)

    content = TAP.read_bytes()
    with pytest.raises(CollectionNotFoundError, match="notes"):
        services.add_uploads("notes", [Upload(TAP.name, Deleting(content), len(content))])
    assert services.queue.jobs() == []
    assert not services.worker.activity().held


def test_nothing_is_queued_for_a_collection_that_is_gone(build_services: BuildServices) -> None:
    services = build_services(is_started=False)
    with pytest.raises(CollectionNotFoundError):
        services.add_path("notes", services.check_path(str(DOCUMENTS)))
    with pytest.raises(CollectionNotFoundError):
        services.retry("notes", [TAP])
    assert services.queue.jobs() == []


def test_a_collection_is_renamed_while_it_is_indexed_and_searched(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    services = build_services()
    services.create_collection("notes")
    services.add_path("notes", services.check_path(str(DOCUMENTS / "kitchen")))
    wait_until(gated.is_asked.is_set)
    services.upkeep.rename("notes", "kitchen")
    wait_until(lambda: is_idle(services))
    count = len(list((DOCUMENTS / "kitchen").iterdir()))
    assert states(services, "kitchen") == {"ready": count}
    assert services.library.names() == ["kitchen"]
    assert tally_text(services.activity("kitchen")) == f"{count} ready"


def test_a_rename_is_refused_while_another_process_writes(
    build_services: BuildServices, home: Path
) -> None:
    services = build_services()
    services.create_collection("notes")
    with (
        WriteLock(home / "collections/notes", name="notes").hold("a backup"),
        pytest.raises(CollectionBusyError, match="a backup"),
    ):
        services.upkeep.rename("notes", "papers")
    with services.collections.use("notes") as collection:
        assert collection.name == "notes"


def test_a_collection_that_another_program_renamed_is_named(build_services: BuildServices) -> None:
    services = build_services()
    services.create_collection("notes")
    with services.collections.use("notes"):
        pass
    services.library.rename("notes", "papers")
    with (
        pytest.raises(CollectionNotFoundError, match="renamed to 'papers'"),
        services.collections.use("notes"),
    ):
        pytest.fail("it has another name")
    assert states(services, "papers") == {}


def test_copies_of_a_collection_that_is_gone_go_when_the_app_starts(
    build_services: BuildServices,
) -> None:
    first = build_services(is_started=False)
    first.create_collection("notes")
    first.create_collection("kept")
    (gone,) = first.add_uploads("notes", [upload(TAP)])
    (kept,) = first.add_uploads("kept", [upload(TAP)])
    first.close()
    first.library.delete("notes")
    build_services()
    assert not gone.exists()
    assert kept.exists()


def test_more_than_may_be_uploaded_is_refused_whole(
    build_services: BuildServices, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("GIRCSE_UPLOAD_MB", "1")
    monkeypatch.setenv("GIRCSE_UPLOADS_MB", "2")
    services = build_services()
    services.create_collection("notes")
    large = of_bytes("large.txt", b"x" * (1 << 20) + b"x")
    with pytest.raises(UploadLimitError, match=r"large\.txt has 2 MiB.*may have 1 MiB.*upload_mb"):
        services.add_uploads("notes", [upload(TAP), large])
    most = [of_bytes(f"{n}.txt", b"x" * (1 << 20)) for n in range(3)]
    with pytest.raises(UploadLimitError, match="uploads_mb"):
        services.add_uploads("notes", most)
    assert services.queue.jobs() == []
    assert not list((home / "uploads").rglob("*.txt"))


def with_a_held_job(
    build_services: BuildServices, gated: GatedEmbedder, failure: Exception
) -> Services:
    """Return an app in which the model failed on the only upload."""
    gated.failure = failure
    services = build_services()
    services.create_collection("notes")
    services.add_uploads("notes", [upload(TAP)])
    wait_until(lambda: services.activity("notes").held)
    return services


@pytest.mark.parametrize("end", ["pause", "delete"])
def test_a_job_that_nobody_waits_for_is_not_looked_for_again_and_again(
    build_services: BuildServices,
    gated: GatedEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    monkeypatch.setattr(indexing, "_RETRY_BUSY_S", 0.2)
    services = with_a_held_job(build_services, gated, CollectionBusyError("the device is taken"))
    if end == "pause":
        services.worker.pause("notes")
    else:
        services.delete_collection("notes")
    time.sleep(0.4)  # until the next try would have been
    looks = []
    monkeypatch.setattr(services.queue, "dropped", lambda: looks.append(1) or [])
    time.sleep(0.5)
    assert len(looks) <= 1


def test_a_model_that_fails_holds_the_job_until_it_is_tried_again(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    services = with_a_held_job(
        build_services, gated, ModelError("the device ran out of memory; use fewer jobs")
    )
    (held,) = services.activity("notes").held
    assert "out of memory" in held.reason
    assert not held.is_retried
    gated.failure = None
    services.worker.resume(held.job)
    wait_until(lambda: states(services) == {"ready": 1} and is_idle(services))
    assert not services.activity("notes").held


def test_a_surprise_ends_one_job_and_not_the_thread(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    services = with_a_held_job(build_services, gated, ZeroDivisionError("never thought of"))
    assert "ZeroDivisionError" in services.activity("notes").held[0].reason
    gated.failure = None
    services.add_uploads("notes", [upload(PDF)])
    wait_until(lambda: states(services).get("ready") == 1)


def test_documents_are_deleted_while_others_are_indexed(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    services = build_services()
    services.create_collection("notes")
    (path,) = services.add_uploads("notes", [upload(TAP)])
    wait_until(lambda: states(services) == {"ready": 1})
    with services.collections.use("notes") as collection:
        (record,) = collection.store.documents()
    services.add_path("notes", services.check_path(str(DOCUMENTS / "kitchen")))
    assert services.delete_documents("notes", [record.id]) == 1
    assert not path.exists()
    wait_until(lambda: is_idle(services))
    with services.collections.use("notes") as collection:
        ids = {document.id for document in collection.store.documents()}
    assert record.id not in ids
    assert len(ids) == len(list((DOCUMENTS / "kitchen").iterdir()))


def test_a_collection_goes_with_its_jobs_and_uploads(
    build_services: BuildServices, home: Path
) -> None:
    services = build_services(is_started=False)
    services.create_collection("notes")
    (path,) = services.add_uploads("notes", [upload(TAP)])
    services.add_uploads("notes", [upload(PDF)])
    services.worker.discard(services.queue.jobs()[1])
    services.delete_collection("notes")
    assert services.library.names() == []
    assert services.queue.jobs() == services.queue.dropped() == []
    assert not path.exists()
    services.create_collection("notes")
    with services.collections.use("notes") as collection:
        assert len(collection.store) == 0


def test_a_collection_of_a_name_that_was_in_use_begins_with_nothing(
    build_services: BuildServices,
) -> None:
    services = build_services()
    services.create_collection("notes")
    services.add_uploads("notes", [upload(TAP)])
    wait_until(lambda: is_idle(services))
    assert tally_text(services.activity("notes")) == "1 ready"
    services.delete_collection("notes")
    services.create_collection("notes")
    assert services.activity("notes") == Activity()


def test_an_upload_that_vanished_does_not_keep_the_others_out(
    build_services: BuildServices,
) -> None:
    services = build_services(is_started=False)
    services.create_collection("notes")
    gone, _ = services.add_uploads("notes", [upload(TAP), upload(PDF)])
    gone.unlink()
    services.start()
    wait_until(lambda: is_idle(services))
    assert states(services) == {"ready": 1}
