"""Qdrant's local mode: one process at a time, and only folders of our own."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from indexer.errors import CollectionBusyError, StorageError
from indexer.stores.qdrant.folder import open_folder
from indexer.stores.qdrant.settings import QdrantSettings
from indexer.stores.qdrant.store import QdrantStore
from tests.indexer.stores.content import Opened, open_store

ROOT = Path(__file__).parents[4]

HOLDER = """
import sys, time
from pathlib import Path
from indexer.stores.qdrant.folder import open_folder
folder = open_folder(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (os.mkdir, (str(self.trace),))


def open_in(directory: Path, folder: Path) -> Opened:
    opened = open_store("faiss", directory)
    opened.store = QdrantStore(
        opened.database, opened.archive, QdrantSettings(path=folder), "notes"
    )
    return opened


def test_a_folder_that_is_open_elsewhere_is_said_to_be(tmp_path: Path) -> None:
    folder = tmp_path / "qdrant"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        opened = open_in(tmp_path, folder)
        with pytest.raises(
            CollectionBusyError,
            match=rf"{folder} is open in process {holder.pid} since .*one process.*qdrant\.url",
        ):
            opened.store.flush()
        opened.add("a", ["alpha"])  # it is kept, and comes to Qdrant when the folder is free
        holder.kill()
        holder.wait(timeout=30)

    opened.store.flush()
    assert len(opened.found("x")) == 1
    opened.close()


# the client that is refused leaves its lock file open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_so_is_one_that_a_program_holds_which_knows_nothing_of_our_lock(tmp_path: Path) -> None:
    folder = tmp_path / "qdrant"
    open_folder(folder).give_back()
    holder = QdrantClient(path=str(folder))
    with pytest.raises(CollectionBusyError, match=r"is open in another process, .*qdrant\.url"):
        open_folder(folder)
    holder.close()
    open_folder(folder).give_back()


def test_one_process_shares_a_folder_and_gives_it_back(tmp_path: Path) -> None:
    first, second = open_folder(tmp_path / "qdrant"), open_folder(tmp_path / "qdrant")
    assert first is second
    first.give_back()
    assert second.client.get_collections().collections == []
    second.give_back()
    third = open_folder(tmp_path / "qdrant")
    assert third is not first
    third.give_back()
    assert (tmp_path / "qdrant").stat().st_mode & 0o077 == 0


def test_a_strangers_folder_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a local folder are pickled: opening it would run what is in them."""
    trace = tmp_path / "trace"
    folder = tmp_path / "qdrant"
    opened = open_in(tmp_path, folder)
    opened.add("a", ["alpha"])
    opened.close()
    (database,) = folder.glob("collection/notes/storage.sqlite")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE points SET point = ?", (pickle.dumps(Trap(trace)),))
    connection.close()

    # The same folder, on a machine that never made it.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    with pytest.raises(StorageError, match=r"was not made by this program for this user"):
        open_folder(folder)
    assert not trace.exists()

    (folder / "gircse-folder.json").unlink()
    with pytest.raises(StorageError, match=r"choose an empty folder|Choose an empty folder"):
        open_folder(folder)
    (folder / "gircse-folder.json").write_text('{"token": "../../etc"}')
    with pytest.raises(StorageError, match=r"nothing is embedded again"):
        open_folder(folder)
    assert not trace.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be used as a folder of Qdrant.*qdrant\.path"):
        open_folder(tmp_path / "file" / "qdrant")


def test_many_chunks_in_a_folder_are_warned_of(
    tmp_path: Path, caplog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.stores.qdrant import pushing

    monkeypatch.setattr(pushing, "_MANY_FOR_LOCAL", 3)
    opened = open_in(tmp_path, tmp_path / "qdrant")
    opened.add("a", ["one", "two", "three", "four"])

    opened.store.flush()
    opened.store.flush()

    assert caplog.text.count("many for Qdrant's local mode") == 1
    opened.close()
