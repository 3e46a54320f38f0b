"""What evaluations found, kept in small files for the next start of the app."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from app.quality.evaluations import Measured, Subject
from indexer.storage.segments import disk_errors

__all__ = ["MeasurementFolder"]

logger = logging.getLogger(__name__)

_FORM = TypeAdapter(Measured)


class MeasurementFolder:
    """The last measurement of each subject.

    Args:
        folder: holds a folder per collection, and in it a JSON file per subject; made when needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, subject: Subject) -> Measured | None:
        """Return what was found last; None where nothing was, or where it cannot be read."""
        path = self._path(subject)
        try:
            return _FORM.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:  # it can be measured again
            logger.warning("%s cannot be read as a measurement: %s", path, error)
            return None

    def write(self, subject: Subject, measured: Measured) -> None:
        """Keep what was found.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        path = self._path(subject)
        content = _FORM.dump_json(measured)
        draft = path.with_suffix(".new")
        with disk_errors(path, needed=len(content)):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.replace(path)

    def forget(self, collection_id: str) -> None:
        """Remove what was found of a collection; what cannot be removed is never shown again."""
        shutil.rmtree(self._folder_of(collection_id), ignore_errors=True)

    def _path(self, subject: Subject) -> Path:
        named = json.dumps([subject.judged_by, subject.split])
        return self._folder_of(subject.collection_id) / f"{_digest(named)}.json"

    def _folder_of(self, collection_id: str) -> Path:
        return self._folder / _digest(collection_id)  # whatever a file of a stranger has as the id


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
