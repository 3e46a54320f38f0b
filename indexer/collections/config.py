"""What a collection and its contents were made with, as their directories state it.

``collection.json`` says which collection it is; ``settings.json`` in each content says what its
vectors were made with. Both are written once. Collections of format 1 have only the first of them,
with everything in it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.fingerprint import Fingerprint
from indexer.embedder import list_models
from indexer.errors import (
    CollectionNotFoundError,
    FormatVersionError,
    IndexerError,
    StorageError,
)
from indexer.storage.sealed_json import read_sealed, write_sealed
from indexer.storage.segments import NUMPY_TYPES, VectorType

if TYPE_CHECKING:
    from indexer.embedder import ModelInfo
    from indexer.indexing.chunking import ChunkingConfig

__all__ = [
    "CONFIG_FILE",
    "DATABASE_FILE",
    "LAYOUT_VERSION",
    "SETTINGS_FILE",
    "CollectionConfig",
    "ContentSettings",
    "Identity",
    "read_config",
    "read_identity",
    "read_settings",
    "read_values",
    "unreadable",
    "vanished",
    "write_identity",
    "write_settings",
]

CONFIG_FILE = "collection.json"
SETTINGS_FILE = "settings.json"
DATABASE_FILE = "collection.db"

LAYOUT_VERSION = 2
"""How the files of a collection are arranged: 1 has one content in the collection's directory, 2
has contents and indexes in folders of their own. What decides vectors is ``fingerprint``'s."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which collection a directory holds; never changes.

    Args:
        id: tells a collection from a later one of the same name.
        created_at: seconds since the epoch.
        format_version: how its files are arranged.
    """

    id: str
    created_at: float
    format_version: int = LAYOUT_VERSION

    @classmethod
    def new(cls) -> Identity:
        """Return the identity of a collection that is about to be made."""
        return cls(uuid.uuid4().hex, time.time())


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """What a content's vectors were made with; never changes.

    Args:
        model: name or folder of the model.
        dim: width D of the vectors.
        fingerprint: what decides the vectors.
        vectors: the type of number that they are kept in.
    """

    model: str
    dim: int
    fingerprint: Fingerprint
    vectors: VectorType = "fp32"

    @property
    def steps(self) -> int:
        """Refinement steps of every document."""
        return self.fingerprint.steps

    @property
    def chunking(self) -> ChunkingConfig:
        """How documents are cut."""
        from indexer.indexing.chunking import ChunkingConfig

        return ChunkingConfig(**self.fingerprint.chunking)

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "model": self.model,
            "dim": self.dim,
            "fingerprint": self.fingerprint.as_dict(),
            "vectors": self.vectors,
        }

    @classmethod
    def new(
        cls,
        info: ModelInfo,
        *,
        steps: int,
        chunking: ChunkingConfig,
        vectors: VectorType = "fp32",
    ) -> ContentSettings:
        """Return the settings of a content that is about to be made."""
        return cls(
            model=_lasting_name(info),
            dim=info.dim,
            fingerprint=Fingerprint(info.fingerprint(), steps, chunking.as_dict()),
            vectors=vectors,
        )


@dataclass(frozen=True, slots=True)
class CollectionConfig:
    """A collection's identity with the settings of one of its contents."""

    identity: Identity
    settings: ContentSettings

    @property
    def id(self) -> str:
        """What tells the collection from a later one of the same name."""
        return self.identity.id

    @property
    def created_at(self) -> float:
        """When the collection was made, seconds since the epoch."""
        return self.identity.created_at

    @property
    def model(self) -> str:
        """Name or folder of the model."""
        return self.settings.model

    @property
    def dim(self) -> int:
        """Width D of the vectors."""
        return self.settings.dim

    @property
    def vectors(self) -> VectorType:
        """The type of number that vectors are kept in."""
        return self.settings.vectors

    @property
    def fingerprint(self) -> Fingerprint:
        """What decides the vectors."""
        return self.settings.fingerprint

    @property
    def steps(self) -> int:
        """Refinement steps of every document."""
        return self.settings.steps

    @property
    def chunking(self) -> ChunkingConfig:
        """How documents are cut."""
        return self.settings.chunking


def read_identity(directory: Path) -> Identity:
    """Return which collection a directory holds.

    Raises:
        FormatVersionError: a newer version of the program wrote it.
        StorageError: that cannot be read.
    """
    values = read_values(directory / CONFIG_FILE, directory.name)
    try:
        created_at, version = values["created_at"], values["format_version"]
        if not isinstance(created_at, int | float) or not isinstance(version, int):
            raise ValueError("'created_at' and 'format_version' must be numbers")
        return Identity(str(values["id"]), float(created_at), version)
    except (ValueError, KeyError) as error:
        raise unreadable(directory / CONFIG_FILE, directory.name, error) from error


def vanished(directory: Path, collection_id: str) -> CollectionNotFoundError:
    """Return the error that says why a collection is not where it was opened.

    Args:
        directory: where it was.
        collection_id: its id, by which it is found under another name.
    """
    name = directory.name
    for other in sorted(directory.parent.glob(f"[!.]*/{CONFIG_FILE}")):
        with suppress(IndexerError):
            if read_identity(other.parent).id == collection_id:
                return CollectionNotFoundError(
                    f"collection {name!r} was renamed to {other.parent.name!r} meanwhile; ask for "
                    "it by that name"
                )
    return CollectionNotFoundError(
        f"collection {name!r} was deleted from {directory} meanwhile; "
        f"run `gircse index PATH --collection {name}` to make it again"
    )


def write_identity(directory: Path, identity: Identity) -> None:
    """State which collection a directory holds, and that its files are arranged as of now.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    values = {
        "format_version": LAYOUT_VERSION,
        "id": identity.id,
        "created_at": identity.created_at,
    }
    write_sealed(directory / CONFIG_FILE, values)


def read_settings(directory: Path, content: Path) -> ContentSettings:
    """Return what a content's vectors were made with.

    Args:
        directory: the collection's directory.
        content: the content's folder; of a collection of format 1 the directory itself.

    Raises:
        FormatVersionError: a newer version of the program wrote it.
        StorageError: that cannot be read.
    """
    path = content / SETTINGS_FILE
    if content == directory and not path.exists():
        path = directory / CONFIG_FILE
    values = read_values(path, directory.name)
    try:
        return _settings(values)
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(path, directory.name, error) from error


def write_settings(content: Path, settings: ContentSettings) -> None:
    """State what a content's vectors are made with, in its folder.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    write_sealed(content / SETTINGS_FILE, settings.as_dict())


def read_config(directory: Path, content: Path) -> CollectionConfig:
    """Return a collection's identity with the settings of one of its contents.

    Raises:
        FormatVersionError, StorageError: as for ``read_identity`` and ``read_settings``.
    """
    return CollectionConfig(read_identity(directory), read_settings(directory, content))


def read_values(path: Path, name: str) -> dict[str, object]:
    """Return the values of one of the JSON files of the collection ``name``.

    Raises:
        FormatVersionError: a newer version of the program wrote it.
        StorageError: it is missing or damaged.
    """
    try:
        values = read_sealed(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, name, error) from error
    version = values.get("format_version")
    if isinstance(version, int) and version > LAYOUT_VERSION:
        raise FormatVersionError(
            f"collection {name!r} has format {version}, this program knows up to "
            f"{LAYOUT_VERSION}; upgrade gircse-search, or index into another collection"
        )
    return values


def unreadable(path: Path, name: str, error: Exception) -> StorageError:
    """Return the error that says why a file of the collection ``name`` cannot be read."""
    cause = f"{error}"
    if isinstance(error, OSError):
        cause = f"{error.strerror}"
    elif isinstance(error, KeyError):
        cause = f"it lacks {error}"
    return StorageError(
        f"{path} cannot be read ({cause}), so collection {name!r} cannot be used; "
        f"restore the file from a backup, or run `gircse collections delete {name}` and index again"
    )


def _settings(values: Mapping[str, object]) -> ContentSettings:
    fingerprint, dim = values["fingerprint"], values["dim"]
    if not isinstance(fingerprint, dict) or not isinstance(dim, int) or dim < 1:
        raise ValueError("'fingerprint' must be an object and 'dim' a number above 0")
    vectors = values.get("vectors", "fp32")  # absent where there was no choice yet
    if vectors not in NUMPY_TYPES:
        raise ValueError(f"'vectors' must be one of {', '.join(NUMPY_TYPES)}")
    return ContentSettings(
        model=str(values["model"]),
        dim=dim,
        fingerprint=Fingerprint.from_dict(fingerprint),
        vectors=vectors,
    )


def _lasting_name(info: ModelInfo) -> str:
    """Return a model's name as it can be found from any working directory."""
    folder = Path(info.name).expanduser()
    is_registered = info.name in {name for name, _ in list_models()}
    return info.name if is_registered or not folder.is_dir() else str(folder.resolve())
