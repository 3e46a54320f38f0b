from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from app.errors import UploadLimitError
from app.work.upload_names import safe_name, safe_path
from app.work.uploads import Upload, UploadFolder, UploadLimits
from indexer.errors import StorageError


def upload(name: str, content: bytes) -> Upload:
    return Upload(name, io.BytesIO(content), len(content))


@pytest.fixture
def folder(tmp_path: Path) -> UploadFolder:
    uploads = UploadFolder(tmp_path, UploadLimits(1000, 3000))
    claimed(uploads)
    return uploads


def claimed(uploads: UploadFolder) -> Path:
    return uploads.claim("notes", "id-1")


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
    (path,) = folder.store(claimed(folder), [upload(name, b"x")])
    assert len(path.name.encode()) <= 180
    assert path.suffix == ".pdf"
    assert path.read_bytes() == b"x"


def test_equal_content_is_kept_once_and_not_touched_again(folder: UploadFolder) -> None:
    (first,) = folder.store(claimed(folder), [upload("a.txt", b"same")])
    os.utime(first, ns=(1, 1))
    (second,) = folder.store(claimed(folder), [upload("a.txt", b"same")])
    (other,) = folder.store(claimed(folder), [upload("b.txt", b"same")])
    assert second == first
    assert first.stat().st_mtime_ns == 1
    assert other.parent == first.parent


def test_same_name_with_other_content_is_another_file(folder: UploadFolder) -> None:
    first, second = folder.store(
        claimed(folder), [upload("a.txt", b"one"), upload("a.txt", b"two")]
    )
    assert first != second
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def test_the_queue_is_written_before_a_file_stands_under_its_path(folder: UploadFolder) -> None:
    seen: list[bool] = []

    def note(paths: list[Path]) -> None:
        seen.extend(path.exists() for path in paths)

    folder.store(
        claimed(folder), [upload("a.txt", b"1"), upload("b.txt", b"2")], before_commit=note
    )
    assert seen == [False, False]


def test_nothing_is_kept_when_one_of_the_files_cannot_be_written(
    folder: UploadFolder, tmp_path: Path
) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="disk is full"):
        folder.store(claimed(folder), [upload("a.txt", b"1"), Upload("b.txt", Failing(), 9)])
    assert [
        path.name for path in (tmp_path / "uploads/notes-id-1").rglob("*") if path.is_file()
    ] == [".collection"]


def test_a_collection_keeps_its_folder_under_another_name(folder: UploadFolder) -> None:
    place = claimed(folder)
    assert folder.claim("renamed", "id-1") == place
    assert folder.claim("notes", "id-2") != place


def test_a_folder_of_before_collections_could_be_renamed_is_still_theirs(
    folder: UploadFolder,
) -> None:
    (old := folder.root / "papers").mkdir()
    (old / ".collection").write_text("id-9")
    assert folder.claim("papers", "id-9") == old


def test_copies_of_collections_that_are_gone_are_swept_up(folder: UploadFolder) -> None:
    (gone,) = folder.store(claimed(folder), [upload("a.txt", b"1")])
    (kept,) = folder.store(folder.claim("work", "id-2"), [upload("a.txt", b"1")])
    (stray := folder.root / "stray.txt").write_text("nobody's")
    assert (folder.size_bytes("id-2"), folder.size_bytes("nobody")) == (len("id-2") + 1, 0)
    folder.sweep(["id-2"])
    assert not gone.exists()
    assert kept.exists()
    assert stray.exists()
    folder.remove_all("id-2")
    folder.remove_all("id-2")
    assert not kept.exists()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("garden/2024/beans.md", "garden/2024/beans.md"),
        ("/etc/passwd", "etc/passwd"),
        ("../../etc/./passwd", "etc/passwd"),
        ("a//b/../c.txt", "a/b/c.txt"),
        ("a\\b/c.txt", "a_b/c.txt"),
        ("\u202egarden/\x00x/c.txt", "_garden/_x/c.txt"),
        (".git/config", "git/config"),
        ("1/2/3/4/5/6/7/8/9/c.txt", "2/3/4/5/6/7/8/9/c.txt"),
        ("ü" * 100 + "/c.txt", "ü" * 30 + "/c.txt"),
    ],
)
def test_paths_in_a_folder_are_made_harmless_and_stay_readable(sent: str, kept: str) -> None:
    assert safe_path(sent).as_posix() == kept


def test_files_of_a_folder_keep_the_folders_they_are_in(folder: UploadFolder) -> None:
    sent = [Upload(f"garden/{part}/beans.md", io.BytesIO(b"x"), 1, True) for part in "ab"]
    first, second = folder.store(claimed(folder), sent)
    assert first.parts[-3:] == ("garden", "a", "beans.md")
    assert second.parts[-3:] == ("garden", "b", "beans.md")
    folder.remove(first)
    assert second.exists()
    folder.remove(second)
    assert list(claimed(folder).iterdir()) == [claimed(folder) / ".collection"]


def test_what_is_too_large_is_refused_with_the_limit_and_nothing_is_kept(
    folder: UploadFolder,
) -> None:
    small, large = upload("a.txt", b"1"), upload("large.pdf", b"x" * 1001)
    with pytest.raises(UploadLimitError, match=r"large\.pdf.*upload_mb.*by their path"):
        folder.store(claimed(folder), [small, large])
    folder.store(claimed(folder), [upload(f"{n}.txt", bytes([n]) * 999) for n in range(2)])
    with pytest.raises(UploadLimitError, match="uploads_mb"):
        folder.store(claimed(folder), [upload("c.txt", b"x" * 1000)])
    assert len(list(folder.root.rglob("*.txt"))) == 2


def test_what_a_kill_left_half_written_goes_at_the_next_start(
    folder: UploadFolder, tmp_path: Path
) -> None:
    leftover = tmp_path / "uploads/notes-id-1/.incoming-1234"
    leftover.write_bytes(b"half")
    folder.sweep_drafts()
    assert not leftover.exists()


def test_an_upload_leaves_another_one_to_the_same_collection_alone(folder: UploadFolder) -> None:
    place = claimed(folder)

    def begin_another(paths: list[Path]) -> None:
        assert claimed(folder) == place
        folder.store(place, [upload("b.txt", b"2")])

    (path,) = folder.store(place, [upload("a.txt", b"1")], before_commit=begin_another)
    assert path.read_bytes() == b"1"
    assert sorted(one.name for one in place.rglob("*.txt")) == ["a.txt", "b.txt"]


def test_removing_takes_the_copy_and_never_a_file_elsewhere(
    folder: UploadFolder, tmp_path: Path
) -> None:
    (path,) = folder.store(claimed(folder), [upload("a.txt", b"1")])
    own = tmp_path / "own.txt"
    own.write_text("mine")
    folder.remove(path)
    folder.remove(own)
    folder.remove(path)  # once more is fine
    assert not path.exists()
    assert not path.parent.exists()
    assert claimed(folder).is_dir()
    assert own.exists()
