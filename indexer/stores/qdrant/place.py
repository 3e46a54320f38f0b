"""Where a generation's index lies in Qdrant: a small file in the index's folder.

The address in it is only compared with the settings, never trusted: a collection that came from
somebody else shall not send this user's queries and key to an address of theirs.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collections.config import read_config
from indexer.errors import IndexerError, StorageError
from indexer.settings import load
from indexer.storage.sealed_json import read_sealed, write_sealed
from indexer.stores.qdrant.connection import Connection
from indexer.stores.qdrant.layout import drop, switch_alias, withdraw_alias
from indexer.stores.qdrant.store import QdrantStore

if TYPE_CHECKING:
    from indexer.storage.archive import VectorArchive
    from indexer.storage.database import Database
    from indexer.stores.qdrant.settings import QdrantSettings

__all__ = [
    "PLACE_FILE",
    "Place",
    "announce",
    "check_configured",
    "forget",
    "open_place",
    "read_place",
    "withdraw",
]

PLACE_FILE = "qdrant.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an index is.

    Args:
        where: address of the server, or path of the local folder.
        name: the Qdrant collection.
    """

    where: str
    name: str


def read_place(index_directory: Path) -> Place | None:
    """Return where the index of this folder is; None where none was made yet.

    Raises:
        StorageError: the file is damaged.
    """
    path = index_directory / PLACE_FILE
    try:
        values = read_sealed(path)
        return Place(str(values["where"]), str(values["name"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            f"{path} cannot be read ({error}); make another index, which embeds nothing again: "
            "gircse reindex COLLECTION --store qdrant"
        ) from error


def check_configured() -> None:
    """Check that the settings name a server or a folder.

    Raises:
        StorageError: they do not.
    """
    Connection(load().settings.qdrant)


def open_place(index_directory: Path, database: Database, archive: VectorArchive) -> QdrantStore:
    """Open the store of a generation; the first time, choose its place by the settings.

    Args:
        index_directory: folder of the index, in the collection's directory.
        database: the content's database.
        archive: the content's vectors.

    Raises:
        StorageError: the index is on another Qdrant than the settings name, or they name none.
    """
    collection = index_directory.parent
    settings = load().settings.qdrant
    place = read_place(index_directory)
    if place is None:
        Connection(settings)  # says so where none is configured, before anything is noted
        place = Place(settings.place, f"{collection.name}-{secrets.token_hex(4)}")
        index_directory.mkdir(exist_ok=True)
        write_sealed(index_directory / PLACE_FILE, {"where": place.where, "name": place.name})
    _check_place(place, settings, collection.name)
    return QdrantStore(
        database,
        archive,
        settings,
        place.name,
        config=read_config(collection, database.path.parent),
        title=collection.name,
    )


def announce(index_directory: Path) -> None:
    """Let the collection's name mean this index, for readers that have only the address.

    What goes wrong is logged: the collection itself is searched as its own pointer says.
    """
    title = index_directory.parent.name
    try:
        place = read_place(index_directory)
        if place is None:
            return
        settings = load().settings.qdrant
        _check_place(place, settings, title)
        with closing(Connection(settings)) as connection:
            switch_alias(connection, title, place.name)
    except IndexerError as error:
        logger.warning("readers by address alone still get the index before this one: %s", error)


def withdraw(index_directory: Path) -> None:
    """Let the collection's name mean no index of Qdrant any more, if it means this one."""
    title = index_directory.parent.name
    try:
        place = read_place(index_directory)
        settings = load().settings.qdrant
        if place is not None and place.where == settings.place:
            with closing(Connection(settings)) as connection:
                withdraw_alias(connection, title, place.name)
    except IndexerError as error:
        logger.warning("readers by address alone still get an index of before: %s", error)


def forget(index_directory: Path) -> None:
    """Remove what an index has in Qdrant, before its folder is removed."""
    try:
        place = read_place(index_directory)
        if place is None:
            return
        settings = load().settings.qdrant
        _check_place(place, settings, index_directory.parent.name)
        with closing(Connection(settings)) as connection:
            drop(connection, place.name)
    except IndexerError as error:
        logger.warning("an index that nobody needs any more is left in Qdrant: %s", error)


def _check_place(place: Place, settings: QdrantSettings, title: str) -> None:
    if place.where != settings.place:
        raise StorageError(
            f"the index of collection {title!r} is in Qdrant at {place.where}, and the settings "
            f"name {settings.place}: if that address is yours, set qdrant.url (GIRCSE_QDRANT_URL) "
            f"or qdrant.path to it; else make another index, which embeds nothing again: gircse "
            f"reindex {title} --store faiss"
        )
