"""What is done to collections as a whole: deleting, renaming, rebuilding, checking, reverting.

Knows nothing of Streamlit. Each takes along what the app keeps about the collection.
"""

from __future__ import annotations

from contextlib import suppress

from app.errors import refuse_changes
from app.open_collections import OpenCollections
from app.quality.measurements import MeasurementFolder
from app.work.checking import Checker, CheckState
from app.work.indexing import IndexingWorker
from app.work.rebuilding import Rebuilder
from app.work.uploads import UploadFolder
from indexer.collections.config import read_identity
from indexer.collections.library import Library
from indexer.collections.rollback import RollbackReport, roll_back
from indexer.collections.write_lock import WriteLock
from indexer.errors import CollectionBusyError, FormatVersionError, StorageError
from indexer.reindexing.request import ReindexRequest

__all__ = ["Upkeep"]


class Upkeep:
    """Changes collections as a whole. Safe between threads.

    Args:
        library: all collections.
        collections: those that are open.
        uploads: the copies of uploaded files.
        worker: indexes what is queued.
        rebuilds: rebuilds collections.
        checks: examines and mends collections.
        measurements: what was measured of collections.
        is_read_only: nothing may be changed.
    """

    def __init__(
        self,
        library: Library,
        collections: OpenCollections,
        uploads: UploadFolder,
        worker: IndexingWorker,
        *,
        rebuilds: Rebuilder,
        checks: Checker,
        measurements: MeasurementFolder,
        is_read_only: bool,
    ) -> None:
        self.rebuilds = rebuilds
        self.checks = checks
        self._library = library
        self._collections = collections
        self._uploads = uploads
        self._worker = worker
        self._measurements = measurements
        self._is_read_only = is_read_only

    def delete(self, name: str) -> None:
        """Remove a collection with its jobs and uploads; a rebuild of it is given up.

        Raises:
            ReadOnlyError: the app changes nothing.
            CollectionBusyError: another process is writing to the collection.
        """
        refuse_changes(is_read_only=self._is_read_only)
        identity = self._identity(name)
        with self._worker.resting():
            self._give_up_rebuild(name)
            self._library.delete(name)
            self._worker.forget(name)
            self._collections.retire(name)
        if identity:
            self.rebuilds.forget(identity)
            self.checks.forget(identity)
            self._uploads.remove_all(identity)
            self._measurements.forget(identity)
        self.checks.forget(name)

    def rename(self, name: str, new_name: str) -> None:
        """Give a collection another name; its jobs and what is known of it go with it.

        Raises:
            ReadOnlyError: the app changes nothing.
            UsageError: the new name is taken or impossible.
            CollectionBusyError: something is writing to the collection, or rebuilds it.
        """
        refuse_changes(is_read_only=self._is_read_only)
        if self.rebuilds.state(name).is_busy:
            raise CollectionBusyError(
                f"{name} is being rebuilt. Wait until that is done, or cancel it, then rename it."
            )
        with self._worker.resting(), self._collections.closed(name):
            self._library.rename(name, new_name)
            self._worker.rename(name, new_name)

    def rebuild(self, name: str, request: ReindexRequest) -> None:
        """Have a collection rebuilt in the background.

        Raises:
            ReadOnlyError: the app changes nothing.
            CollectionBusyError: it is being rebuilt already.
            UsageError, ModelError: it cannot be done; the message says why.
        """
        refuse_changes(is_read_only=self._is_read_only)
        self.rebuilds.begin(name, request)

    def check(self, name: str, *, mends: bool = False) -> None:
        """Examine a collection in the background.

        Args:
            name: its name; it may be damaged.
            mends: mend what can be mended.

        Raises:
            ReadOnlyError: the app changes nothing.
            CollectionBusyError: it is being examined already.
        """
        refuse_changes(is_read_only=self._is_read_only)
        self.checks.begin(name, self._identity(name) or name, mends=mends)

    def health(self, name: str) -> CheckState:
        """Say what is known of the health of a collection, which may be damaged."""
        by_name = self.checks.state(name)  # where it began before the id could be read
        identity = self._identity(name)
        if identity is None or by_name.running is not None:
            return by_name
        return self.checks.state(identity)

    def copies_bytes(self, name: str) -> int:
        """Return what the copies of a collection's uploaded files take on the disk."""
        identity = self._identity(name)
        return self._uploads.size_bytes(identity) if identity else 0

    def revert(self, name: str) -> RollbackReport:
        """Return a collection to its previous version; indexing rests meanwhile.

        Raises:
            ReadOnlyError: the app changes nothing.
            UsageError: there is none.
            CollectionBusyError: another process is writing to the collection.
            StorageError: the previous version is damaged; nothing changed.
        """
        refuse_changes(is_read_only=self._is_read_only)
        with self._worker.resting():
            return roll_back(self._library.directory(name))

    def _give_up_rebuild(self, name: str) -> None:
        """Cancel the rebuild of a collection, unless that cannot be deleted now anyway."""
        try:
            is_busy = self.rebuilds.state(name).is_busy
        except (StorageError, FormatVersionError):
            return  # it is damaged so that it cannot be opened, and can be deleted all the same
        if is_busy:
            with WriteLock(self._library.directory(name), name=name).hold(
                "deleting the collection"
            ):
                pass  # refused while somebody else writes, before anything of the rebuild is lost
            self.rebuilds.cancel(name)

    def _identity(self, name: str) -> str | None:
        """Return the id of a collection; None where it is damaged so that it cannot be read."""
        with suppress(StorageError, FormatVersionError):
            return read_identity(self._library.directory(name)).id
        return None

    def sweep(self) -> None:
        """Remove copies that an earlier run left half written, or of collections deleted since."""
        self._uploads.sweep_drafts()
        known = [self._identity(name) for name in self._library.names()]
        if None not in known:  # whose copies would that one's be?
            self._uploads.sweep([identity for identity in known if identity is not None])
