"""Judged sets that users bring: archives of strangers and folders of their own."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import pytest

from indexer.errors import UsageError
from indexer.evaluation.beir import load_beir
from indexer.evaluation.judged_sets import JudgedSets
from tests.indexer.evaluation.conftest import write_set


@pytest.fixture
def sets(tmp_path: Path) -> JudgedSets:
    return JudgedSets(tmp_path / "home", max_bytes=100_000)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_set(
        tmp_path / "small",
        [("d1", "Tap", "Change the washer."), ("d2", "Rent", "It is due.")],
        [("q1", "a dripping tap")],
        [("q1", "d1", 1)],
    )


def zipped(files: dict[str, str | bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    out.seek(0)
    return out


def archive_of(folder: Path, prefix: str = "") -> io.BytesIO:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return zipped({f"{prefix}{path.relative_to(folder)}": path.read_bytes() for path in files})


@pytest.mark.parametrize("prefix", ["", "small/", "a/b/"])
def test_an_archive_becomes_a_set(sets: JudgedSets, small: Path, prefix: str) -> None:
    added = sets.add_archive("my set!.zip", archive_of(small, prefix))
    assert (added.name, added.splits, added.has_documents) == ("my-set", ("test",), True)
    assert load_beir(added.folder).queries == {"q1": "a dripping tap"}
    assert [one.name for one in sets.all()] == ["my-set"]
    again = sets.add_archive("my set!.zip", archive_of(small))
    assert again.name == "my-set-2"
    sets.remove("my-set")
    assert [one.name for one in sets.all()] == ["my-set-2"]
    with pytest.raises(UsageError, match="no judged set 'my-set' any more"):
        sets.get("my-set")


def test_a_set_without_documents_judges_those_of_a_collection(
    sets: JudgedSets, small: Path
) -> None:
    (small / "corpus.jsonl").unlink()
    (small / "qrels/dev.tsv").write_text("q1\td1\t1\n")
    added = sets.add_archive("mine.zip", archive_of(small))
    assert (added.splits, added.has_documents) == (("test", "dev"), False)


def test_a_folder_stays_where_it_is(sets: JudgedSets, small: Path) -> None:
    added = sets.add_folder(small)
    assert added.folder == small
    assert sets.add_folder(small) == added
    sets.remove("small")
    assert sets.all() == []
    assert (small / "queries.jsonl").is_file()
    sets.add_folder(small)
    shutil.rmtree(small)
    assert sets.all() == []  # it is gone, and nothing breaks


def test_names_in_an_archive_choose_no_paths(sets: JudgedSets, tmp_path: Path) -> None:
    content = zipped(
        {
            "queries.jsonl": '{"_id": "q", "text": "t"}\n',
            "qrels/test.tsv": "q\td\t1\n",
            "qrels/../../../evil.tsv": "q\td\t1\n",
            "../evil": "x",
            "/etc/evil": "x",
            "other.txt": "x",
        }
    )
    added = sets.add_archive("../../up.zip", content)
    kept = sorted(str(path.relative_to(added.folder)) for path in added.folder.rglob("*.*"))
    assert kept == ["qrels/test.tsv", "queries.jsonl"]
    assert added.folder.parent == tmp_path / "home/judged-sets"
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (io.BytesIO(b"no archive"), "is no ZIP file"),
        (zipped({"readme.txt": "x"}), "holds no judged set"),
        (zipped({"queries.jsonl": "x", "qrels/test.txt": "x"}), "holds no judged set"),
        (
            zipped({"queries.jsonl": b"0" * 200_000, "qrels/test.tsv": "x"}),
            "unpacks to more than 100,000 bytes",
        ),
    ],
)
def test_what_is_no_set_is_refused_and_leaves_nothing(
    sets: JudgedSets, tmp_path: Path, content: io.BytesIO, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        sets.add_archive("x.zip", content)
    assert sets.all() == []
    root = tmp_path / "home/judged-sets"
    assert not root.exists() or list(root.iterdir()) == []


@pytest.mark.parametrize(
    "packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_archive_is_refused_and_leaves_nothing(
    sets: JudgedSets, tmp_path: Path, packing: int
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        archive.writestr("queries.jsonl", bytes(range(256)) * 100)
        archive.writestr("qrels/test.tsv", "q\td\t1\n")
        start = archive.getinfo("queries.jsonl").header_offset + 30 + len("queries.jsonl")
    content = bytearray(out.getvalue())
    for place in range(start + 10, start + 60):
        content[place] ^= 0xFF
    with pytest.raises(UsageError, match=r"x\.zip cannot be unpacked \("):
        sets.add_archive("x.zip", io.BytesIO(content))
    assert list((tmp_path / "home/judged-sets").iterdir()) == []


def test_a_folder_that_is_no_set_is_refused(sets: JudgedSets, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no judged set"):
        sets.add_folder(tmp_path)
