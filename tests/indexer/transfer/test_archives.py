"""An exported collection, imported elsewhere, answers as before; a tampered archive is refused."""

import hashlib
import json
import os
import shutil
import sqlite3
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from indexer.errors import StorageError, UsageError
from indexer.evaluation.judgement_book import JudgementBook
from indexer.searching.filters import Where
from indexer.searching.search import SearchRequest
from indexer.storage import archive, segments
from indexer.storage.sealed_json import sealed_text
from indexer.transfer import unpacking
from indexer.transfer.exporting import export_collection
from indexer.transfer.importing import import_collection
from indexer.verification.verifier import verify
from tests.indexer.fake_model import FakeEmbedder, vector
from tests.indexer.verification.collections import Place, make_place, manifest_of


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Place:
    return make_place(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="module")
def exported(origin: Place) -> Path:
    file = origin.folder / "docs.zip"
    with origin.library.open("docs") as collection:
        export_collection(collection, file)
    return file


class QueryEmbedder(FakeEmbedder):
    """Answers queries too."""

    def refine(self, text: str, *, max_steps: int) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(step=0, vector=vector(text), seconds=0.0, words=())


def answers(place: Place, name: str = "docs") -> list[object]:
    with place.library.open(name) as collection:
        searcher = collection.searcher(lambda: QueryEmbedder(place.model))
        found: list[object] = []
        for text in ("Sentence 3 about things", "paper", "nothing of the kind"):
            for mode in ("dense", "lexical", "hybrid"):
                result = searcher.search(SearchRequest(text, mode=mode, top_k=50))
                found.append([(hit.chunk.id, hit.score, hit.chunk.text) for hit in result.hits])
        (hits,) = collection.store.search(
            vector("x")[None].astype(np.float32), top_k=5, where=Where(media_types=("markdown",))
        )
        found.append(hits)
        found.append(collection.store.documents())
        found.append([collection.store.document(one.id) for one in collection.store.documents()])
        return found


def test_hits_are_identical_on_another_machine(origin, exported, tmp_path):
    manifest = manifest_of(exported)
    assert (manifest.name, manifest.documents, manifest.chunks) == ("docs", 6, 12)
    other = origin.elsewhere(tmp_path)
    report = import_collection(other.library, exported)
    assert (report.name, report.documents, report.chunks, report.model) == ("docs", 6, 12, "fake")
    assert answers(other) == answers(origin)
    sound = verify(other.directory)
    assert sound.is_sound, sound.problems
    assert sound.remarks == ()
    assert not list((other.home / "collections").glob(".*"))
    assert not list(other.directory.glob("unpacked*"))


def test_indexing_goes_on_without_the_model(origin, exported, tmp_path):
    other = origin.elsewhere(tmp_path)
    import_collection(other.library, exported, name="copy")
    report = other.index("copy")
    assert (report.unchanged, report.embedded) == (6, 0)
    with other.library.open("copy") as collection, origin.library.open("docs") as original:
        assert collection.id != original.id
        assert collection.archive.read([0, 5]).tolist() == original.archive.read([0, 5]).tolist()


def test_what_was_deleted_is_not_in_the_archive(origin, tmp_path):
    place = origin.copy(tmp_path)
    secret = place.folder / "secret.md"
    place.files = place.folder
    secret.write_text("The launch code is swordfish.")
    place.index()
    with place.library.open("docs") as collection:
        (gone,) = [one.id for one in collection.store.documents() if "secret" in one.source]
        collection.delete_documents([gone])
        export_collection(collection, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert b"swordfish" not in packed.read("content.db")
        assert b"launch" not in packed.read("content.db")


def test_an_export_while_others_write_is_whole(origin, tmp_path, monkeypatch):
    for module in (segments, archive):
        monkeypatch.setattr(module, "SEGMENT_ROWS", 5)
    (tmp_path / "own").mkdir()
    place = make_place(tmp_path / "own")
    for number in range(6, 40):
        (place.files / f"{number:03}.md").write_text(f"# Paper {number}\n\nAbout {number}. " * 40)
    writer = threading.Thread(target=place.index)
    writer.start()
    files = []
    with place.library.open("docs") as collection:
        while writer.is_alive() or not files:
            files.append(tmp_path / f"{len(files)}.zip")
            export_collection(collection, files[-1])
    writer.join()
    for number, file in enumerate(files[:3]):
        (tmp_path / f"machine{number}").mkdir()
        other = place.elsewhere(tmp_path / f"machine{number}")
        import_collection(other.library, file)
        assert verify(other.directory).is_sound


def test_an_export_counts_what_it_holds_and_not_what_came_since(origin, tmp_path):
    place = origin.copy(tmp_path)
    place.files = place.folder
    (place.folder / "late.md").write_text("# Late\n\nIt came while others were at work.")
    file, seen = tmp_path / "out.zip", set()

    def meanwhile(name: str, done: int) -> None:
        if not seen:
            place.index()
        seen.add(name)

    with place.library.open("docs") as collection:
        manifest = export_collection(collection, file, on_bytes=meanwhile)
        assert collection.ledger.totals().documents == 7
    assert (manifest.documents, manifest.chunks) == (6, 12)
    (tmp_path / "machine").mkdir()
    report = import_collection(place.elsewhere(tmp_path / "machine").library, file)
    assert (report.documents, report.chunks) == (6, 12)


def test_an_import_counts_what_came_and_not_what_was_claimed(origin, exported, tmp_path):
    file = repacked(
        exported, tmp_path / "boast.zip", claims=lambda values: values.update(documents=99)
    )
    report = import_collection(origin.elsewhere(tmp_path).library, file)
    assert (report.documents, report.chunks) == (6, 12)


def test_an_archive_is_replaced_only_when_told_to(origin, exported, tmp_path):
    with origin.library.open("docs") as collection:
        with pytest.raises(UsageError, match=r"already.*--force"):
            export_collection(collection, exported)
        with pytest.raises(UsageError, match="no folder"):
            export_collection(collection, tmp_path / "absent" / "file.zip")
        with pytest.raises(UsageError, match="is a folder"):
            export_collection(collection, tmp_path)
        file = tmp_path / "file.zip"
        file.write_text("old")
        export_collection(collection, file, overwrite=True)
    assert manifest_of(file).documents == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.zip"]


def test_names_are_checked_before_anything_is_read(origin, exported):
    with pytest.raises(UsageError, match="'docs' already"):
        import_collection(origin.library, exported)
    with pytest.raises(UsageError, match="cannot be a collection's name"):
        import_collection(origin.library, exported, name="../docs")
    with pytest.raises(UsageError, match="no file"):
        import_collection(origin.library, exported.with_name("absent.zip"))
    assert origin.library.names() == ["docs"]


def refused(origin: Place, file: Path, folder: Path, match: str) -> None:
    """Check that an archive is refused and leaves nothing."""
    other = origin.elsewhere(folder)
    with pytest.raises(StorageError, match=match):
        import_collection(other.library, file, name="copy")
    assert other.library.names() == []
    assert list((other.home / "collections").glob(".new-*")) == []


@pytest.mark.parametrize("seed", range(25))
def test_a_flipped_byte_is_refused_or_changes_nothing(origin, exported, tmp_path, seed):
    choice = np.random.default_rng(seed)
    content = bytearray(exported.read_bytes())
    content[choice.integers(len(content))] ^= 1 << int(choice.integers(8))
    file = tmp_path / "flipped.zip"
    file.write_bytes(content)
    other = origin.elsewhere(tmp_path)
    try:
        import_collection(other.library, file)
    except StorageError:
        assert other.library.names() == []
    else:  # such as a byte of a member's time
        assert answers(other) == answers(origin)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_off_archive_is_refused(origin, exported, tmp_path, share):
    file = tmp_path / "cut.zip"
    file.write_bytes(exported.read_bytes()[: int(exported.stat().st_size * share)])
    refused(origin, file, tmp_path, "damaged")


def repacked(
    exported: Path,
    file: Path,
    *,
    change: Callable[[str, bytes], bytes] = lambda name, content: content,
    extra: dict[str, bytes] | None = None,
    claims: Callable[[dict[str, object]], None] = lambda values: None,
    honest: bool = True,
) -> Path:
    """Write an archive with changed members; ``honest`` has their new sizes in the manifest."""
    with zipfile.ZipFile(exported) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    values = json.loads(members.pop("manifest.json"))
    del values["sha256"]
    members = {name: change(name, content) for name, content in members.items()}
    if honest:
        values["members"] = [
            {"path": name, "size": len(one), "sha256": hashlib.sha256(one).hexdigest()}
            for name, one in members.items()
        ]
    claims(values)
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in {**members, **(extra or {})}.items():
            packed.writestr(name, content)
        packed.writestr("manifest.json", sealed_text(values))
    return file


def altered(statement: str, tmp_path: Path) -> Callable[[str, bytes], bytes]:
    """Return a change that runs SQL in the archive's database."""

    def change(name: str, content: bytes) -> bytes:
        if name != "content.db":
            return content
        path = tmp_path / "altered.db"
        path.write_bytes(content)
        connection = sqlite3.connect(path)
        connection.executescript(statement)
        connection.commit()
        connection.close()
        return path.read_bytes()

    return change


def test_an_unchanged_archive_survives_repacking(origin, exported, tmp_path):
    file = repacked(exported, tmp_path / "same.zip")
    other = origin.elsewhere(tmp_path)
    import_collection(other.library, file)
    assert answers(other) == answers(origin)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON files BEGIN SELECT 1; END", "other tables"),
        ("CREATE VIEW v AS SELECT * FROM files", "other tables"),
        ("CREATE TABLE more (x)", "other tables"),
        ("DROP TABLE words; CREATE VIEW words AS SELECT 1 AS key", "other tables"),
        ("PRAGMA application_id = 7", "of another kind"),
        ("PRAGMA user_version = 2", "upgrade"),
        ("UPDATE documents SET title = x'ff'", "documents.title"),
        ("UPDATE chunks SET start = 'a'", "chunks.start"),
        ("UPDATE files SET state = 'gone'", "states of files"),
        ("UPDATE files SET updated_at = 9e999", "files.updated_at that are no times"),
        ("UPDATE files SET updated_at = -1e300", "files.updated_at that are no times"),
        ("UPDATE documents SET modified_at = 1e300", "documents.modified_at that are no times"),
        ("UPDATE documents SET modified_at = -9e999", "documents.modified_at that are no times"),
        ("INSERT INTO state VALUES ('change_floor', 9)", "settings"),
        ("UPDATE words SET text = 'forged' WHERE key = 1", "damaged"),
        ("UPDATE documents SET title = 'forged' WHERE key = 1", "damaged"),
        ("UPDATE documents SET metadata = '[1]' WHERE key = 1", "makes no sense"),
        ("UPDATE document_texts SET sections = '{}' WHERE document = 1", "damaged|no sense"),
        ("UPDATE chunks SET row = 99 WHERE key = 1", "damaged"),
        ("UPDATE chunks SET document = 99 WHERE key = 1", "damaged"),
        ("UPDATE vector_batches SET sha256 = zeroblob(32)", "damaged"),
        ("DELETE FROM vectors WHERE row = 3", "damaged"),
        ("DELETE FROM files WHERE chunks > 0", "damaged"),
        ("UPDATE state SET value = 17 WHERE name = 'dim'", "width 17"),
    ],
)
def test_a_forged_database_is_refused(origin, exported, tmp_path, statement, match):
    file = repacked(exported, tmp_path / "forged.zip", change=altered(statement, tmp_path))
    refused(origin, file, tmp_path, match)


def test_a_text_that_unpacks_to_gigabytes_is_refused(origin, exported, tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.transfer.importing._LONGEST_TEXT", 100_000)
    bomb = zlib.compress(b"x" * 200_000)
    change = altered(
        f"UPDATE document_texts SET text = x'{bomb.hex()}' WHERE document = 1", tmp_path
    )
    refused(origin, repacked(exported, tmp_path / "bomb.zip", change=change), tmp_path, "longer")


def claim_size(values: dict[str, object], size: int) -> None:
    values["members"][1]["size"] = size  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"extra": {"../../evil": b"x"}}, "other files"),
        ({"extra": {"vectors/00001.npy": b"x"}}, "other files"),
        ({"claims": lambda values: values.update(format="something")}, "no archive"),
        ({"claims": lambda values: values.update(format_version=2)}, "upgrade"),
        ({"claims": lambda values: values.update(members=7)}, "members"),
        ({"claims": lambda values: values.update(documents="many")}, "documents"),
        ({"claims": lambda values: claim_size(values, 10)}, "bytes"),
        ({"claims": lambda values: claim_size(values, -1)}, "members"),
        ({"change": lambda name, one: one + b"x", "honest": False}, "bytes"),
        ({"change": lambda name, one: b"{}" if name == "settings.json" else one}, "settings"),
    ],
    ids=range(10),
)
def test_a_manifest_that_lies_is_refused(origin, exported, tmp_path, arguments, match):
    refused(origin, repacked(exported, tmp_path / "lie.zip", **arguments), tmp_path, match)


def test_members_that_lead_elsewhere_are_refused(origin, exported, tmp_path):
    file = tmp_path / "paths.zip"

    def climb(values: dict[str, object]) -> None:
        values["members"][2]["path"] = "../../vectors/00000.npy"  # type: ignore[index]

    repacked(exported, file, claims=climb)
    refused(origin, file, tmp_path, "other files than an archive has")

    shutil.copy(exported, file)
    with zipfile.ZipFile(exported) as packed, zipfile.ZipFile(file, "w") as link:
        for info in packed.infolist():
            if info.filename == "settings.json":
                info.external_attr = 0o120777 << 16
            link.writestr(info, packed.read(info.filename))
    refused(origin, file, tmp_path, "no plain file")


def test_a_member_named_twice_is_refused(origin, exported, tmp_path):
    file = tmp_path / "twice.zip"
    shutil.copy(exported, file)
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(file, "a") as packed,
    ):
        packed.writestr("settings.json", b"{}")
    refused(origin, file, tmp_path, "other files")


def test_what_is_no_archive_is_refused(origin, tmp_path):
    file = tmp_path / "text.zip"
    file.write_text("plain text")
    refused(origin, file, tmp_path, "no archive")
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("hello.txt", "hello")
    refused(origin, file, tmp_path, r"no manifest\.json")


def test_a_manifest_that_cannot_be_read_is_refused(origin, exported, tmp_path):
    content = bytearray(exported.read_bytes())
    content[content.rfind(b"manifest.json") - 46 + 8] |= 1  # flags of its entry
    file = tmp_path / "secret.zip"
    file.write_bytes(content)
    refused(origin, file, tmp_path, "'manifest.json' is encrypted")
    for packing in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        with zipfile.ZipFile(file, "w", packing) as packed:
            packed.writestr("manifest.json", "{}")
        refused(origin, file, tmp_path, "'manifest.json' is encrypted or packed in an unknown way")
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("manifest.json", "[" * 100_000)
    refused(origin, file, tmp_path, "no archive of a collection, or is damaged")


def test_a_disk_without_room_is_named_first(origin, exported, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda path: usage)
    refused(origin, exported, tmp_path, "950 may be used")


def test_a_long_import_is_not_taken_for_an_abandoned_one(origin, exported, tmp_path):
    other = origin.elsewhere(tmp_path)
    seen = []

    def look(what: str, done: int) -> None:
        (draft,) = (other.home / "collections").glob(".new-*")
        seen.append(draft.stat().st_mtime)
        os.utime(draft, (0, 0))

    import_collection(other.library, exported, on_bytes=look)
    assert len(seen) > 5
    assert min(seen) > 1e9


def test_judged_queries_go_along_unless_told_not_to(tmp_path):
    origin = make_place(tmp_path)
    with origin.library.open("docs") as collection:
        record, *_ = collection.store.documents()
        book = JudgementBook(collection.directory)
        book.judge("what is said about things", record, None, 1)
        said = book.queries()
        export_collection(collection, tmp_path / "all.zip")
        export_collection(collection, tmp_path / "less.zip", judgements=False)
    other = origin.elsewhere(tmp_path)
    assert import_collection(other.library, tmp_path / "all.zip", name="all").judged == 1
    assert import_collection(other.library, tmp_path / "less.zip", name="less").judged == 0
    with other.library.open("all") as collection:
        book = JudgementBook(collection.directory)
        assert book.queries() == said
        judgements, missing = book.judgements(collection.store.documents())
        assert (list(judgements.qrels.values()), missing) == ([{record.id: 1}], 0)
    with other.library.open("less") as collection:
        assert JudgementBook(collection.directory).queries() == ()
    for name in ("all", "less"):
        assert verify(other.home / "collections" / name).is_sound


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"grade": -1}, "must be 0 or more"),
        ({"judged_at": float("nan")}, "no time since the epoch"),
        ({"grade": "many"}, "no judged query"),
    ],
)
def test_judgements_that_make_no_sense_are_refused(tmp_path, change, match):
    origin = make_place(tmp_path)
    with origin.library.open("docs") as collection:
        record, *_ = collection.store.documents()
        book = JudgementBook(collection.directory)
        book.judge("things", record, None, 1)
        queries = json.loads((book.folder / "queries.jsonl").read_text())
        queries["metadata"]["passages"][0].update(change)
        export_collection(collection, tmp_path / "docs.zip")

    def change_judgements(name: str, content: bytes) -> bytes:
        return json.dumps(queries).encode() if name == "judgements.jsonl" else content

    forged = repacked(tmp_path / "docs.zip", tmp_path / "forged.zip", change=change_judgements)
    with pytest.raises(StorageError, match=match) as caught:
        import_collection(origin.library, forged, name="forged")
    assert "nothing was imported" in str(caught.value)
    assert not (origin.home / "collections" / "forged").exists()
