"""The collections of one home directory: making, opening, renaming, deleting, summing up.

A collection appears whole or not at all, and disappears the same way.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.collection import Collection
from indexer.collections.config import ContentSettings, Identity, read_identity, write_identity
from indexer.collections.generation import make_content
from indexer.collections.generations import GenerationRecord, read_generations, write_first
from indexer.collections.name import check_name, is_name
from indexer.collections.summary import CollectionSummary, summarize
from indexer.collections.write_lock import WriteLock
from indexer.embedder import model_info
from indexer.errors import CollectionNotFoundError, IndexerError, StorageError, UsageError
from indexer.reindexing.rebuild_note import RebuildRight
from indexer.storage.segments import disk_errors, sync_folder
from indexer.stores.opening import announce, dispose, withdraw

if TYPE_CHECKING:
    from indexer.embedder import ModelInfo
    from indexer.indexing.chunking import ChunkingConfig
    from indexer.storage.segments import VectorType

__all__ = ["Collection", "CollectionSummary", "Library", "check_name"]

_NEW, _DELETED = ".new-", ".deleted-"
_ABANDONED_S = 3600.0


class Library:
    """All collections under ``<home>/collections``.

    Args:
        home: the program's own directory; made when the first collection is.
        resolve: finds what is known of a model by its name.
    """

    def __init__(self, home: Path, *, resolve: Callable[[str], ModelInfo] = model_info) -> None:
        self.home = home.absolute()
        self._folder = self.home / "collections"
        self._resolve = resolve

    def names(self) -> list[str]:
        """Return the names of all collections, in order; damaged ones included.

        Folders that cannot be collections by their names are none: ``lost+found``, ``work (copy)``.
        """
        try:
            with os.scandir(self._folder) as listing:
                found = [item.name for item in listing if item.is_dir() and is_name(item.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(
                f"{self._folder} cannot be listed: {error.strerror}; check its permissions, "
                "or choose another place with --home"
            ) from error
        return sorted(found)

    def directory(self, name: str) -> Path:
        """Return where a collection is, which need not be sound.

        Raises:
            CollectionNotFoundError: there is none of that name; the message has those there are.
        """
        check_name(name)
        return self._existing(name)

    def open(self, name: str) -> Collection:
        """Open a collection; the caller closes it.

        Raises:
            CollectionNotFoundError: there is none of that name; the message has those there are.
            FormatVersionError, StorageError: it cannot be read; the message says what to do.
        """
        check_name(name)
        return Collection(self._existing(name), resolve=self._resolve)

    def create(
        self,
        name: str,
        *,
        model: str | ModelInfo,
        steps: int | None = None,
        chunking: ChunkingConfig | None = None,
        vectors: VectorType = "fp32",
    ) -> Collection:
        """Make an empty collection and open it.

        Args:
            name: 1 to 64 of the characters A-Z a-z 0-9 . _ -
            model: name, folder or hub id of the model, or what is known of it.
            steps: refinement steps of its documents; None takes the model's default.
            chunking: how its documents are cut; None takes the defaults.
            vectors: the type of number that its vectors are kept in; ``"fp16"`` takes half the
                room and moves scores by some 1e-4 at most.

        Raises:
            UsageError: the name is taken or impossible, the home's path is not UTF-8, or the
                model has no such step count.
            StorageError: the disk is full or cannot be written.
        """
        from indexer.indexing.chunking import ChunkingConfig

        check_name(name)
        self._check_home()
        self._check_free(name)
        info = self._resolve(model) if isinstance(model, str) else model
        settings = ContentSettings.new(
            info,
            steps=_checked_steps(info, steps),
            chunking=chunking or ChunkingConfig(),
            vectors=vectors,
        )
        with self.making(name) as draft:
            _fill(draft, settings)
        return Collection(self._folder / name, resolve=self._resolve)

    def rename(self, name: str, new_name: str) -> None:
        """Give a collection another name, in one step.

        Searches of other processes that have it open go on; whatever else they ask for under the
        old name is refused with the new one.

        Raises:
            CollectionNotFoundError: there is none of that name.
            UsageError: the new name is taken or impossible.
            CollectionBusyError: another thread or process is writing to it, or rebuilds it.
            StorageError: its folder cannot be renamed; it keeps its name.
        """
        check_name(name)
        check_name(new_name)
        directory, target = self._existing(name), self._folder / new_name
        self._check_free(new_name, but=name)
        if new_name == name:
            return
        lock = WriteLock(directory, name=name)
        with lock.hold("renaming the collection"), RebuildRight(directory).hold_off():
            self._check_free(new_name, but=name)  # for the second time: others were faster
            with suppress(IndexerError):  # a damaged one can be renamed as well
                withdraw(directory, read_generations(directory))
            with disk_errors(target, needed=0):
                directory.rename(target)
                sync_folder(self._folder)
            WriteLock(target, name=new_name).forget_holder()
            with suppress(IndexerError):
                announce(target, read_generations(target))

    def name_of(self, collection_id: str) -> str | None:
        """Return what a collection is called now, by its id; None where there is none."""
        for name in self.names():
            with suppress(IndexerError):
                if read_identity(self._folder / name).id == collection_id:
                    return name
        return None

    def delete(self, name: str) -> None:
        """Remove a collection with all that is stored in it; damaged ones too.

        Raises:
            CollectionNotFoundError: there is none of that name.
            CollectionBusyError: another thread or process is writing to it.
            StorageError: its files cannot be removed.
        """
        check_name(name)
        directory = self._existing(name)
        aside = self._folder / f"{_DELETED}{name}-{uuid.uuid4().hex}"
        lock = WriteLock(directory, name=name)
        with lock.hold("deleting the collection"), disk_errors(directory, needed=0):
            directory.rename(aside)  # from here on it is gone for everybody
        self._sweep()
        if aside.exists():
            raise StorageError(
                f"collection {name!r} is deleted, but files of it are left in {aside}; "
                "remove that folder by hand"
            )

    def summaries(self) -> list[CollectionSummary]:
        """Return all collections at a glance, in order of their names."""
        return [summarize(self._folder / name) for name in self.names()]

    def _existing(self, name: str) -> Path:
        names = self.names()
        if name in names:
            return self._folder / name
        there = f"there are: {', '.join(names)}" if names else "there is none yet"
        raise CollectionNotFoundError(
            f"there is no collection {name!r} ({there}); make it with "
            f"`gircse index PATH --collection {name}`"
        )

    def _check_home(self) -> None:
        try:
            str(self.home).encode("utf-8")
        except UnicodeEncodeError as error:  # FAISS opens no other files
            raise UsageError(
                f"{str(self.home)!r} has bytes in its path that are not UTF-8; choose another "
                "place for collections with --home"
            ) from error

    def _check_free(self, name: str, *, but: str | None = None) -> None:
        others = [other for other in self.names() if other != but]
        taken = [other for other in others if other.casefold() == name.casefold()]
        if taken:
            raise UsageError(
                f"there is a collection {taken[0]!r} already; open it, or choose a name that "
                "differs in more than upper and lower case"
            )

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Give an empty folder, which becomes the collection of that name when the block ends.

        A block that fails, or is killed, leaves no collection. A folder that nothing is put into
        for an hour is taken for a killed one's.

        Raises:
            UsageError: the name is taken or impossible, or the home's path is not UTF-8.
            StorageError: the disk is full or cannot be written.
        """
        check_name(name)
        self._check_home()
        self._check_free(name)
        with disk_errors(self._folder, needed=0):
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds private texts
            self._folder.mkdir(exist_ok=True)
        self._sweep()
        draft = self._folder / f"{_NEW}{uuid.uuid4().hex}"
        try:
            with disk_errors(draft, needed=0):
                draft.mkdir()
            yield draft
            with disk_errors(draft, needed=0):
                sync_folder(draft)
                self._publish(draft, name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _publish(self, draft: Path, name: str) -> None:
        try:
            draft.rename(self._folder / name)
        except OSError:
            self._check_free(name)  # another process was faster
            raise
        sync_folder(self._folder)

    def _sweep(self) -> None:
        """Remove what killed processes left while making or deleting collections."""
        for item in self._folder.iterdir():
            if item.name.startswith(_DELETED) or (
                item.name.startswith(_NEW) and _age_s(item) > _ABANDONED_S
            ):
                for index in item.glob("index-*"):
                    dispose(index)
                shutil.rmtree(item, ignore_errors=True)


def _checked_steps(info: ModelInfo, steps: int | None) -> int:
    if steps is None:
        return info.default_steps
    if not info.min_steps <= steps <= info.max_steps:
        raise UsageError(
            f"model {info.name!r} refines by {info.min_steps} to {info.max_steps} steps, "
            f"not {steps}"
        )
    return steps


def _fill(draft: Path, settings: ContentSettings) -> None:
    """Write an empty collection with one generation."""
    identity = Identity.new()
    first = GenerationRecord(1, "content-1", made_at=identity.created_at)
    make_content(first.content_directory(draft), settings)
    with disk_errors(draft, needed=0):
        first.index_directory(draft).mkdir()
    write_first(draft, first)
    write_identity(draft, identity)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
