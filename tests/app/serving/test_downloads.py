from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.serving.downloads import Downloads, Offer, download_route
from indexer.errors import StorageError


def client(downloads: Downloads) -> TestClient:
    return TestClient(Starlette(routes=[download_route(lambda: downloads)]))


def reading(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def test_an_offer_is_handed_out_as_a_file_and_as_nothing_else() -> None:
    downloads = Downloads()
    url = downloads.offer("a", Offer('<ünsafe>; x="1".html', reading(b"<script>")))
    got = client(downloads).get(url)
    assert (got.status_code, got.content) == (200, b"<script>")
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''%3C%C3%BCnsafe%3E%3B%20x%3D%221%22.html"
    )


def test_a_file_keeps_its_address_and_is_read_when_it_is_asked_for() -> None:
    downloads = Downloads()
    first = downloads.offer(("file", 1), Offer("a", reading(b"old")))
    assert downloads.offer(("file", 2), Offer("b", reading(b"other"))) != first
    assert downloads.offer(("file", 1), Offer("a", reading(b"new"))) == first
    assert client(downloads).get(first).content == b"new"


def test_what_cannot_be_read_and_what_is_not_offered_say_so() -> None:
    def fail() -> bytes:
        raise StorageError("the disk is gone")

    downloads = Downloads()
    asked = client(downloads)
    failed = asked.get(downloads.offer("a", Offer("a.txt", fail)))
    assert (failed.status_code, failed.text) == (
        409,
        "a.txt cannot be downloaded: the disk is gone",
    )
    unknown = asked.get("downloads/guessed")
    assert unknown.status_code == 404
    assert "reload it" in unknown.text
    for answer in (failed, unknown):
        assert answer.headers["content-type"].startswith("text/plain")


def test_the_offer_that_was_drawn_longest_ago_goes_first() -> None:
    downloads = Downloads(limit=2)
    urls = [downloads.offer(key, Offer(key, reading(key.encode()))) for key in "ab"]
    downloads.offer("a", Offer("a", reading(b"a")))
    urls.append(downloads.offer("c", Offer("c", reading(b"c"))))
    asked = client(downloads)
    assert [asked.get(url).status_code for url in urls] == [200, 404, 200]


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_other_methods_are_refused(method: str) -> None:
    downloads = Downloads()
    url = downloads.offer("a", Offer("a", reading(b"a")))
    assert getattr(client(downloads), method)(url).status_code == 405
