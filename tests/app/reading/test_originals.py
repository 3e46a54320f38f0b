from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.reading import local_folder
from app.reading.local_folder import can_show_folder, show_folder
from app.reading.originals import Original, original_of, read_original
from app.work.uploads import Upload, UploadFolder, UploadLimits
from indexer.collections.library import Library
from indexer.embedder import Embedder
from indexer.errors import ExtractionError, UsageError
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from indexer.stores.base import DocumentRecord


def records(home: Path) -> dict[str, DocumentRecord]:
    with Library(home).open("default") as collection:
        return {Path(record.source).name: record for record in collection.store.documents()}


def test_the_file_behind_a_document_is_known(filled_home: Path) -> None:
    record = records(filled_home)["dripping-tap.md"]
    with Library(filled_home).open("default") as collection:
        original = original_of(collection, record.id)
        assert original_of(collection, "no-such-id").state == "unknown"
    assert (original.name, original.state, original.problem) == ("dripping-tap.md", "there", "")
    assert read_original(original) == original.path.read_bytes()


def original_at(path: Path, content: bytes) -> Original:
    return Original(path, path.name, hashlib.sha256(content).hexdigest(), "there")


def test_other_bytes_than_the_indexed_ones_are_not_given_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"what was indexed")
    original = original_at(path, b"what was indexed")
    assert read_original(original) == b"what was indexed"
    path.write_bytes(b"a secret instead")
    with pytest.raises(ExtractionError, match="changed since"):
        read_original(original)
    path.unlink()
    (tmp_path / "secret").write_bytes(b"a secret")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(ExtractionError, match="changed since"):
        read_original(original)


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        (lambda path: path.write_text("other content"), "changed", "index the file again"),
        (
            lambda path: path.write_text("The stork stands in the reeds."),  # as long as before
            "changed",
            "index the file again",
        ),
        (lambda path: os.utime(path, (1, 1)), "there", ""),
        (lambda path: path.unlink(), "missing", "moved, renamed or deleted"),
    ],
)
def test_a_file_that_changed_or_went_is_noticed(
    filled_home: Path,
    tmp_path: Path,
    minilm: Embedder,
    change: Callable[[Path], object],
    state: str,
    words: str,
) -> None:
    path = tmp_path / "note.txt"
    path.write_text("The heron stands in the reeds.")
    with Library(filled_home).open("default") as collection:
        index_paths(collection, [path], embedder=lambda: minilm, options=IndexOptions())
        (record,) = [one for one in collection.store.documents() if one.source == str(path)]
        assert original_of(collection, record.id).state == "there"
        change(path)
        original = original_of(collection, record.id)
    assert original.state == state
    assert words in original.problem


def test_uploads_have_the_name_that_they_came_with(tmp_path: Path) -> None:
    uploads = UploadFolder(tmp_path, UploadLimits(10, 10))
    folder = uploads.claim("default", "id")
    name = '"><img onerror=alert(1)>.txt'
    (path,) = uploads.store(folder, [Upload("../" + name, io.BytesIO(b"x"), 1)])
    assert path.parent.name != path.name
    assert original_at(path, b"x").name == name


def test_a_folder_is_shown_by_the_desktop_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(local_folder.subprocess, "run", lambda command, **_: asked.append(command))
    monkeypatch.setattr(local_folder.sys, "platform", "linux")
    file = tmp_path / "-rf; echo.desktop"
    file.write_text("")
    show_folder(file)
    assert asked == [["xdg-open", str(tmp_path)]]
    monkeypatch.setattr(local_folder.sys, "platform", "darwin")
    show_folder(file)
    assert asked[1] == ["open", "-R", str(file)]
    with pytest.raises(UsageError, match="not there"):
        show_folder(tmp_path / "gone" / "file.txt")
    with pytest.raises(UsageError, match="not there"):
        show_folder(Path("relative.txt"))


def test_a_desktop_that_fails_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_folder.sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="did not open"):
        show_folder(tmp_path / "a.txt")


def test_without_a_desktop_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_folder.sys, "platform", "linux")
    monkeypatch.setattr(local_folder.shutil, "which", lambda name: f"/usr/bin/{name}")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not can_show_folder()
    monkeypatch.setenv("DISPLAY", ":0")
    assert can_show_folder()
