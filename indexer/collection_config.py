"""What a collection was made with, as its directory states it.

Written once, when the collection is made; see ``indexer.library``.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.embedder import list_models
from indexer.errors import FormatVersionError, StorageError
from indexer.fingerprint import FORMAT_VERSION, Fingerprint

if TYPE_CHECKING:
    from indexer.chunking import ChunkingConfig
    from indexer.embedder import ModelInfo

__all__ = ["CONFIG_FILE", "DATABASE_FILE", "CollectionConfig", "read_config"]

CONFIG_FILE = "collection.json"
DATABASE_FILE = "collection.db"


@dataclass(frozen=True, slots=True)
class CollectionConfig:
    """What a collection was made with; never changes.

    Args:
        id: tells a collection from a later one of the same name.
        model: name or folder of its model.
        dim: width D of its vectors.
        fingerprint: what decides its vectors.
        created_at: seconds since the epoch.
    """

    id: str
    model: str
    dim: int
    fingerprint: Fingerprint
    created_at: float

    @property
    def steps(self) -> int:
        """Refinement steps of every document."""
        return self.fingerprint.steps

    @property
    def chunking(self) -> ChunkingConfig:
        """How documents are cut."""
        from indexer.chunking import ChunkingConfig

        return ChunkingConfig(**self.fingerprint.chunking)

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "format_version": self.fingerprint.format_version,
            "id": self.id,
            "model": self.model,
            "dim": self.dim,
            "created_at": self.created_at,
            "fingerprint": self.fingerprint.as_dict(),
        }

    @classmethod
    def new(cls, info: ModelInfo, *, steps: int, chunking: ChunkingConfig) -> CollectionConfig:
        """Return the settings of a collection that is about to be made."""
        return cls(
            id=uuid.uuid4().hex,
            model=_lasting_name(info),
            dim=info.dim,
            fingerprint=Fingerprint(info.fingerprint(), steps, chunking.as_dict()),
            created_at=time.time(),
        )


def _lasting_name(info: ModelInfo) -> str:
    """Return a model's name as it can be found from any working directory."""
    folder = Path(info.name).expanduser()
    is_registered = info.name in {name for name, _ in list_models()}
    return info.name if is_registered or not folder.is_dir() else str(folder.resolve())


def read_config(directory: Path) -> CollectionConfig:
    """Read the settings of the collection in a directory.

    Raises:
        FormatVersionError: a newer version of the program wrote them.
        StorageError: they are missing or damaged.
    """
    path = directory / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no object")
        version = values.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise FormatVersionError(
                f"collection {directory.name!r} has format {version}, this program knows up to "
                f"{FORMAT_VERSION}; upgrade gircse-search, or index into another collection"
            )
        return _config(values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        cause = f"{error.strerror}" if isinstance(error, OSError) else f"{error}"
        raise StorageError(
            f"{path} cannot be read ({cause}), so collection {directory.name!r} cannot be used; "
            "restore the file from a backup, or run "
            f"`gircse collections delete {directory.name}` and index again"
        ) from error


def _config(values: Mapping[str, object]) -> CollectionConfig:
    fingerprint, dim, created_at = values["fingerprint"], values["dim"], values["created_at"]
    if not isinstance(fingerprint, dict) or not isinstance(dim, int) or dim < 1:
        raise ValueError("'fingerprint' must be an object and 'dim' a number above 0")
    if not isinstance(created_at, int | float):
        raise ValueError("'created_at' must be a number")
    return CollectionConfig(
        id=str(values["id"]),
        model=str(values["model"]),
        dim=dim,
        fingerprint=Fingerprint.from_dict(fingerprint),
        created_at=float(created_at),
    )
