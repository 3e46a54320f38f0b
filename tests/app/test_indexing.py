"""The worker thread with everything real below it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import resources
from app.file_states import finished_lines, job_lines, problems
from app.services import Services
from app.uploads import Upload
from indexer.embedder import Embedder, ModelError
from indexer.write_lock import WriteLock
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
    lines = {line.name: line for line in finished_lines(services.activity("notes").finished)}
    assert lines["dripping-tap.md"].label == "ready"
    assert "passage" in lines["dripping-tap.md"].detail
    assert lines["broken.pdf"].label == "failed"
    assert lines["empty.txt"].label == "no text"
    assert lines["photo.bin"].label == "skipped"
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
    activity = services.activity("notes")
    assert activity.running is not None
    with services.collections.use("notes") as collection:
        (at_work,) = job_lines(collection.ledger, activity.running.job, is_running=True, limit=9)
        (waiting,) = job_lines(collection.ledger, activity.waiting[0], is_running=False, limit=9)
    assert at_work.name == "dripping-tap.md"
    assert at_work.label in {"reading", "embedding"}
    assert (waiting.name, waiting.label) == ("storing-food-safely.pdf", "waiting")
    gated.gate.set()
    wait_until(lambda: is_idle(services))
    assert states(services) == {"ready": 2}


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
    wait_until(lambda: is_idle(again), timeout_s=180.0)  # the whole sample, refined
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


def test_a_run_can_be_stopped_continued_and_dropped(
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
        lambda: is_idle(services) and not services.activity("notes").stopped, timeout_s=180.0
    )
    assert states(services) == {"ready": 48}

    job = services.queue.add("notes", [DOCUMENTS], kind="folder")
    services.worker.stop(job)
    services.worker.discard(job)
    assert services.queue.jobs() == []


def test_a_model_that_fails_holds_the_job_until_it_is_tried_again(
    build_services: BuildServices, gated: GatedEmbedder
) -> None:
    gated.failure = ModelError("the device ran out of memory; use fewer jobs")
    services = build_services()
    services.create_collection("notes")
    services.add_uploads("notes", [upload(TAP)])
    wait_until(lambda: services.activity("notes").held)
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
    gated.failure = ZeroDivisionError("never thought of")
    services = build_services()
    services.create_collection("notes")
    services.add_uploads("notes", [upload(TAP)])
    wait_until(lambda: services.activity("notes").held)
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
    services.delete_collection("notes")
    assert services.library.names() == []
    assert services.queue.jobs() == []
    assert not path.exists()
    services.create_collection("notes")
    with services.collections.use("notes") as collection:
        assert len(collection.store) == 0


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
