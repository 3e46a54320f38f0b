"""An index on the disk that a database vouches for: files, stamp and the database's word together.

Knows which file belongs to which state of the database. What is in it is ``built_index``'s affair.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.stores.base import IndexFault
from indexer.stores.built_index import BuiltIndex
from indexer.stores.changes import accept_index, accepted_index
from indexer.stores.index_file import IndexFile, UnusableIndexError
from indexer.stores.index_stamp import IndexStamp
from indexer.stores.index_types import INDEX_TYPES, IndexType

if TYPE_CHECKING:
    from indexer.storage.database import Database
    from indexer.stores.row_set import RowSet

__all__ = ["IndexPair"]

logger = logging.getLogger(__name__)


class IndexPair:
    """The files of one index over a database.

    Args:
        directory: the index's own folder, or that of the database.
        database: what the index is made over.
        kind: what the index is to be.
    """

    def __init__(self, directory: Path, database: Database, kind: IndexType) -> None:
        self._file = IndexFile(directory)
        # Several indexes may follow one database; each has a name there that moves along with both.
        self._name = "." if directory == database.path.parent else directory.name
        self._database = database
        self._kind = kind

    @property
    def path(self) -> Path:
        """The index file."""
        return self._file.path

    def locked(self) -> AbstractContextManager[bool]:
        """See ``IndexFile.locked``."""
        return self._file.locked()

    def size_bytes(self) -> int:
        """Return the size of the files; 0 while there are none."""
        return self._file.size_bytes()

    def read(self, *, dim: int) -> tuple[IndexStamp, BuiltIndex] | None:
        """Return the index with what is said of it; None when none was ever written.

        Raises:
            UnusableIndexError: it is damaged, of another type, or of another state of the database.
        """
        with self._database.read(committed=True) as connection:
            stamp = self.stamp(connection)
        return None if stamp is None else (stamp, self.load(stamp, dim=dim))

    def read_again(self, *, dim: int) -> tuple[IndexStamp, BuiltIndex] | None:
        """Read it once no other process is writing it; set it aside when it is still unusable."""
        with self._file.locked() as is_locked:
            try:
                return self.read(dim=dim)
            except UnusableIndexError as error:
                logger.warning("%s cannot be used: %s", self.path, error)
                if is_locked:
                    self._file.set_aside()
                return None

    def load(self, stamp: IndexStamp, *, dim: int, may_change: bool = False) -> BuiltIndex:
        """Read the file; see ``IndexFile.load``."""
        index = self._file.load(stamp, dim=dim, may_change=may_change)
        kind = self._kind if stamp.built_as == self._kind.name else INDEX_TYPES[stamp.built_as]
        return BuiltIndex(kind, index, effort=stamp.effort)

    def load_to_change(self, stamp: IndexStamp, *, dim: int) -> BuiltIndex | None:
        """Read the file in order to add to it; set it aside and return None when it is unusable.

        Inside ``locked()`` only.
        """
        try:
            return self.load(stamp, dim=dim, may_change=True)
        except UnusableIndexError as error:
            logger.warning("%s cannot be used: %s", self.path, error)
            self._file.set_aside()
            return None

    def stamp(self, connection: sqlite3.Connection) -> IndexStamp | None:
        """Return what is said of the file; None when none was ever written.

        Raises:
            UnusableIndexError: it belongs to another state of the database, or is of another type.
        """
        token, change = accepted_index(connection, self._name)
        if not token:
            return None
        stamp = self._file.stamp()
        if stamp is None:
            raise UnusableIndexError("there is none, or none that can be read")
        if (stamp.token, stamp.change) != (token, change):
            raise UnusableIndexError("it belongs to another state of the database")
        if stamp.index_type != self._kind.name or stamp.built_as not in (self._kind.name, "flat"):
            raise UnusableIndexError(
                f"it is of type {stamp.index_type} ({stamp.built_as}), not {self._kind.name}"
            )
        return stamp

    def usable_stamp(self, connection: sqlite3.Connection) -> IndexStamp | None:
        """Return what is said of the file; None when there is none that could be used."""
        try:
            stamp = self.stamp(connection)
        except UnusableIndexError as error:
            logger.info("%s is built anew: %s", self.path, error)
            return None
        return stamp if self.path.is_file() else None

    def fault(self) -> IndexFault | None:
        """Return what is wrong with the files as they are on the disk; None where all is well."""
        damage = self._file.damage()
        with self._database.read(committed=True) as connection:
            token, _ = accepted_index(connection, self._name)
        if damage is not None and damage[0] != self.path:
            return IndexFault(str(damage[0]), damage[1])  # what is to vouch for the index
        stamp = self._file.stamp()
        if stamp is None or stamp.token != token:
            why = "there is none" if stamp is None else "it belongs to another state of the content"
            what = f"{why}; it is built anew when next used"
            return IndexFault(str(self.path), what, is_damage=False)
        return None if damage is None else IndexFault(str(damage[0]), damage[1])

    def set_aside(self) -> None:
        """Rename the file, so that nobody uses it any more."""
        self._file.set_aside()

    def write(self, built: BuiltIndex, *, rows: RowSet, built_for: int, change: int) -> None:
        """Put an index in the place of the present one. Inside ``locked()`` only.

        Args:
            built: the index, in memory.
            rows: what is to be found in it.
            built_for: how many rows it was trained and parted for.
            change: the change of the database up to which it goes.

        Raises:
            StorageError: the disk is full or cannot be written; the previous file is still good.
            CollectionBusyError: another process kept writing to the database.
        """
        try:
            needed = len(built) * built.kind.vector_bytes(built.index.d)
            written = self._file.prepare(built.index, needed=needed)
            stamp = IndexStamp(
                token=secrets.token_hex(16),
                change=change,
                index_type=self._kind.name,
                dim=built.index.d,
                total=len(built),
                sha256=written.sha256,
                built_as=built.kind.name,
                built_for=built_for,
                effort=built.effort,
                left_behind=IndexStamp.packed(built.rows - rows),
                size_bytes=written.status.st_size,
                modified_ns=written.status.st_mtime_ns,
                inode=written.status.st_ino,
            )
            # The database first: were it last, a killed process would leave a pair that looks
            # current and is not. The other way round the pair is refused and built anew.
            with self._database.write() as connection:
                accept_index(connection, self._name, token=stamp.token, change=stamp.change)
            self._file.replace(stamp)
        finally:
            self._file.discard()
