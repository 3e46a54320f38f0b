from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.conftest import DOCUMENTS
from tests.app.waiting import wait_until

COMPOST = DOCUMENTS / "garden" / "compost.md"


@pytest.fixture
def notes(api: httpx.Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A collection of the test's own."""
    name = f"notes-{abs(hash(request.node.name)) % 10**8}"
    assert api.post("/api/collections", json={"name": name, "steps": 0}).status_code == 201
    yield name
    assert api.delete(f"/api/collections/{name}").status_code == 200


def states(api: httpx.Client, collection: str) -> dict[str, str]:
    listed = api.get("/api/documents", params={"collection": collection}).json()["documents"]
    return {Path(one["source"]).name: one["state"] for one in listed}


def wait_for(api: httpx.Client, collection: str, expected: dict[str, str]) -> None:
    wait_until(lambda: states(api, collection) == expected)


def test_an_upload_is_read_found_shown_and_removed(api: httpx.Client, notes: str) -> None:
    response = api.post(
        "/api/documents",
        data={"collection": notes},
        files=[
            ("file", ("compost.md", COMPOST.read_bytes())),
            ("file", ("broken.pdf", b"%PDF-1.7 and nothing else")),
        ],
    )
    assert response.status_code == 202
    queued = {one["name"]: one["id"] for one in response.json()["documents"]}
    assert set(queued) == {"compost.md", "broken.pdf"}
    assert api.get(f"/api/documents/{queued['compost.md']}?collection={notes}").status_code == 200
    wait_for(api, notes, {"compost.md": "ready", "broken.pdf": "failed"})

    one = api.get(f"/api/documents/{queued['compost.md']}", params={"collection": notes}).json()
    assert one["title"] == "Compost that works"
    assert "livestock" in one["text"]
    failed = api.get(f"/api/documents/{queued['broken.pdf']}", params={"collection": notes}).json()
    assert failed["state"] == "failed"
    assert failed["text"] is None
    assert failed["message"]
    assert failed["hint"]
    only = {"collection": notes, "state": "failed"}
    assert len(api.get("/api/documents", params=only).json()["documents"]) == 1

    asked = {"query": "what rots well", "collection": notes}
    hits = api.get("/api/search", params=asked).json()["hits"]
    assert {hit["document_id"] for hit in hits} == {queued["compost.md"]}
    for identity in queued.values():
        removed = api.delete(f"/api/documents/{identity}", params={"collection": notes})
        assert removed.json()["id"] == identity
    assert states(api, notes) == {}
    assert not Path(one["source"]).exists()
    gone = api.get(f"/api/documents/{queued['compost.md']}", params={"collection": notes})
    assert gone.status_code == 404
    assert gone.json()["error"]["code"] == "document_not_found"


def test_a_folder_of_the_machine_is_read_where_it_is(
    api: httpx.Client, notes: str, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "tap.txt").write_text("The tap drips.")
    (tmp_path / 'b"><img src=x>.txt').write_text("<script>alert(1)</script>")
    asked = {"path": str(tmp_path), "collection": notes}
    assert api.post("/api/documents/from-path", json=asked).status_code == 202
    wait_for(api, notes, {"tap.txt": "ready", 'b"><img src=x>.txt': "ready"})
    pages = api.get("/api/documents", params={"collection": notes, "limit": 1}).json()
    assert pages["next_offset"] == 1
    rest = api.get("/api/documents", params={"collection": notes, "offset": 1}).json()
    assert len(rest["documents"]) == 1
    assert rest["next_offset"] is None
    found = {"collection": notes, "path": "*tap*"}
    (tap,) = api.get("/api/documents", params=found).json()["documents"]
    api.delete(f"/api/documents/{tap['id']}", params={"collection": notes})
    assert (tmp_path / "a" / "tap.txt").is_file()


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "No path was given"), ("notes", "not an absolute path"), ("/no/such", "/no/such")],
)
def test_a_path_that_is_none_is_named(api: httpx.Client, path: str, said: str) -> None:
    response = api.post("/api/documents/from-path", json={"path": path})
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]


def test_state_and_conditions_exclude_each_other(api: httpx.Client) -> None:
    response = api.get("/api/documents", params={"state": "failed", "type": "pdf"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "state"


def test_a_page_beyond_every_document_is_empty(api: httpx.Client) -> None:
    response = api.get("/api/documents", params={"offset": 10**20})
    assert response.status_code == 200
    assert response.json()["documents"] == []


def test_an_empty_name_is_not_the_default_collection(api: httpx.Client) -> None:
    response = api.get("/api/documents", params={"collection": ""})
    assert response.status_code == 400
    assert "cannot be a collection's name" in response.json()["error"]["message"]


def test_a_form_without_files_and_a_body_that_is_no_form_are_refused(api: httpx.Client) -> None:
    empty = api.post("/api/documents", files={}, data={"collection": "default"})
    assert empty.status_code == 415  # without files it is another kind of form
    field = {"collection": (None, b"default")}
    assert "files" in api.post("/api/documents", files=field).json()["error"]["message"]
    broken = api.post(
        "/api/documents",
        content=b"no boundary at all",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert broken.status_code == 400
    lone = api.post("/api/documents", content=b"", headers={"Content-Type": "multipart/form-data"})
    assert lone.status_code == 400


def test_nobody_uploads_into_what_is_not_there(api: httpx.Client) -> None:
    files = {"file": ("a.txt", b"text")}
    response = api.post("/api/documents", files=files, data={"collection": "nowhere"})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "collection_not_found"


class Endless(httpx.SyncByteStream):
    """A body that is larger than any limit, made while it is sent."""

    def __init__(self, size_mib: int) -> None:
        self.size_mib = size_mib
        self.sent_mib = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="f"; filename="big.pdf"\r\n\r\n'
        for _ in range(self.size_mib):
            self.sent_mib += 1
            yield b"0" * (1 << 20)
        yield b"\r\n--x--\r\n"


@pytest.mark.parametrize("is_stated", [True, False])
def test_a_large_upload_is_refused_politely(api: httpx.Client, is_stated: bool) -> None:
    size_mib = 300
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if is_stated:
        headers["Content-Length"] = str(sum(map(len, Endless(size_mib))))
    started = time.monotonic()
    response = api.post("/api/documents", content=iter(Endless(size_mib)), headers=headers)
    assert response.status_code == 413
    assert "200 MiB" in response.json()["error"]["message"]
    assert time.monotonic() - started < 60
    assert states(api, "default")  # the server is as well as before
