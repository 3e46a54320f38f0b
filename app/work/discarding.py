"""What is left of a job that is not wanted any more: files that wait in vain, and their copies."""

from __future__ import annotations

import os
from pathlib import Path

from app.open_collections import OpenCollections
from app.work.job_queue import Job, JobQueue
from app.work.uploads import UploadFolder
from indexer.collections.library import Collection
from indexer.documents import document_id
from indexer.indexing.discovery import display_path
from indexer.storage.ledger import UNFINISHED

__all__ = ["discard_rest"]


def discard_rest(
    job: Job, *, collections: OpenCollections, uploads: UploadFolder, queue: JobQueue
) -> None:
    """Forget the files of a job that it has not come to, and remove the copies of uploads.

    Whatever of it is ready, or failed with a cause, stays.

    Raises:
        CollectionBusyError: another process is writing to the collection.
        CollectionNotFoundError: the collection was deleted.
    """
    with collections.use(job.collection) as collection, collection.write_lock("cancelling"):
        paths = _unfinished(collection, job)
        collection.ledger.give_back(list(paths))
        known = collection.ledger.get(list(paths))
    still_wanted = {path for other in queue.jobs() for path in other.paths}
    for identity, path in paths.items():
        if identity not in known and path not in still_wanted:
            uploads.remove(path)


def _unfinished(collection: Collection, job: Job) -> dict[str, Path]:
    """Return the files of a job that are not done, by the ids of their documents."""
    if job.kind == "files":
        return {document_id(display_path(path)): path for path in job.paths}
    rows = collection.ledger.rows(states=UNFINISHED)
    found = ((row.document_id, Path(os.fsdecode(row.path))) for row in rows)
    return {identity: path for identity, path in found if path.is_relative_to(job.paths[0])}
