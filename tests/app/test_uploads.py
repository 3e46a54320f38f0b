from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from app.uploads import Upload, UploadFolder, safe_name
from indexer.errors import StorageError


def upload(name: str, content: bytes) -> Upload:
    return Upload(name, io.BytesIO(content), len(content))


@pytest.fixture
def folder(tmp_path: Path) -> UploadFolder:
    uploads = UploadFolder(tmp_path)
    uploads.claim("notes", "id-1")
    return uploads


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\note.txt", "note.txt"),
        ("folder/sub/a.md", "a.md"),
        ("two\nlines\x00.txt", "two_lines_.txt"),
        ("\u202egpj.exe", "_gpj.exe"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("   ", "unnamed"),
        (".bashrc", "bashrc"),
        ("a/", "unnamed"),
        ("\ud800.txt", "_.txt"),
        ('"><img src=x onerror=alert(1)>.txt', '"><img src=x onerror=alert(1)>.txt'),
    ],
)
def test_names_are_made_harmless_and_stay_readable(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


def test_a_long_name_is_cut_to_what_a_disk_takes_and_keeps_its_suffix(
    folder: UploadFolder,
) -> None:
    name = "ü" * 300 + ".pdf"
    (path,) = folder.store("notes", [upload(name, b"x")])
    assert len(path.name.encode()) <= 180
    assert path.suffix == ".pdf"
    assert path.read_bytes() == b"x"


def test_equal_content_is_kept_once_and_not_touched_again(folder: UploadFolder) -> None:
    (first,) = folder.store("notes", [upload("a.txt", b"same")])
    os.utime(first, ns=(1, 1))
    (second,) = folder.store("notes", [upload("a.txt", b"same")])
    (other,) = folder.store("notes", [upload("b.txt", b"same")])
    assert second == first
    assert first.stat().st_mtime_ns == 1
    assert other.parent == first.parent


def test_same_name_with_other_content_is_another_file(folder: UploadFolder) -> None:
    first, second = folder.store("notes", [upload("a.txt", b"one"), upload("a.txt", b"two")])
    assert first != second
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def test_the_queue_is_written_before_a_file_stands_under_its_path(folder: UploadFolder) -> None:
    seen: list[bool] = []

    def note(paths: list[Path]) -> None:
        seen.extend(path.exists() for path in paths)

    folder.store("notes", [upload("a.txt", b"1"), upload("b.txt", b"2")], before_commit=note)
    assert seen == [False, False]


def test_nothing_is_kept_when_one_of_the_files_cannot_be_written(
    folder: UploadFolder, tmp_path: Path
) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="disk is full"):
        folder.store("notes", [upload("a.txt", b"1"), Upload("b.txt", Failing(), 9)])
    assert [path.name for path in (tmp_path / "uploads/notes").rglob("*") if path.is_file()] == [
        ".collection"
    ]


def test_files_of_an_earlier_collection_of_the_same_name_go(folder: UploadFolder) -> None:
    (path,) = folder.store("notes", [upload("a.txt", b"1")])
    folder.claim("notes", "id-1")
    assert path.exists()
    folder.claim("notes", "id-2")
    assert not path.exists()


def test_what_a_kill_left_half_written_goes_at_the_next_start(
    folder: UploadFolder, tmp_path: Path
) -> None:
    leftover = tmp_path / "uploads/notes/.incoming-1234"
    leftover.write_bytes(b"half")
    folder.claim("notes", "id-1")
    assert not leftover.exists()


def test_removing_takes_the_copy_and_never_a_file_elsewhere(
    folder: UploadFolder, tmp_path: Path
) -> None:
    (path,) = folder.store("notes", [upload("a.txt", b"1")])
    own = tmp_path / "own.txt"
    own.write_text("mine")
    folder.remove(path)
    folder.remove(own)
    folder.remove(path)  # once more is fine
    assert not path.exists()
    assert not path.parent.exists()
    assert own.exists()
