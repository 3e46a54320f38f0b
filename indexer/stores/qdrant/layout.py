"""How a collection lies in Qdrant: its two Qdrant collections, their indexes, metadata and alias.

``NAME`` holds one point per chunk, with a dense and a sparse vector and all that a hit shows.
``NAME.documents`` holds the documents' records and texts, without vectors, and the state: how far
what is there follows the content it was made from. Two, so that Qdrant's own statistics of words
are over chunks and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from indexer.collections.config import CollectionConfig, ContentSettings, Identity
from indexer.collections.fingerprint import Fingerprint
from indexer.errors import FormatVersionError, StorageError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

    from indexer.stores.qdrant.connection import Connection
    from indexer.stores.qdrant.settings import QdrantSettings

__all__ = [
    "DENSE",
    "WORDS",
    "About",
    "aliases_of",
    "create",
    "documents_of",
    "drop",
    "enable_graph",
    "find_metadata",
    "is_optimized",
    "read_about",
    "resolve",
    "switch_alias",
    "withdraw_alias",
]

DENSE, WORDS = "dense", "words"
"""Names of the two vectors of a chunk."""

LAYOUT_VERSION = 1
_METADATA = "gircse"

_CHUNK_INDEXES = {
    "document": "uuid",
    "media_type": "keyword",
    "modified_at": "float",
    "revision": "keyword",
}
_DOCUMENT_INDEXES = {**_CHUNK_INDEXES, "kind": "keyword"}


@dataclass(frozen=True, slots=True)
class About:
    """What travels with a collection, for readers that know nothing but its address.

    Args:
        name: the collection's name.
        config: its identity, model and fingerprint.
        typical_tokens: length of a chunk for which the sparse vectors are made.
        dim: width D of the vectors.
    """

    name: str
    config: CollectionConfig | None
    typical_tokens: float
    dim: int

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, as ``read_about`` takes them."""
        values: dict[str, object] = {
            "layout": LAYOUT_VERSION,
            "name": self.name,
            "typical_tokens": self.typical_tokens,
            "dim": self.dim,
        }
        if self.config is not None:
            values["id"] = self.config.id
            values["created_at"] = self.config.created_at
            values["settings"] = self.config.settings.as_dict()
        return values


def documents_of(name: str) -> str:
    """Return the Qdrant collection that holds the documents of the chunks in ``name``."""
    return f"{name}.documents"


def create(connection: Connection, name: str, about: About, *, defer_graph: bool = False) -> None:
    """Make both Qdrant collections with all payload indexes; those that are there are left.

    Args:
        connection: where.
        name: of the Qdrant collection.
        about: travels with it, and gives the width.
        defer_graph: build no HNSW graph before ``enable_graph``, for loading in bulk.

    Raises:
        StorageError: Qdrant refused, or does not answer.
    """
    settings = connection.settings
    metadata = {_METADATA: about.as_dict()}
    for one, indexes in ((documents_of(name), _DOCUMENT_INDEXES), (name, _CHUNK_INDEXES)):
        has_vectors = one == name

        def make(client: QdrantClient, one: str = one, has_vectors: bool = has_vectors) -> None:
            if not client.collection_exists(one):
                vectors = _vectors(settings, about.dim, defer_graph) if has_vectors else {}
                sparse = _sparse(settings) if has_vectors else None
                client.create_collection(
                    one,
                    vectors_config=vectors,
                    sparse_vectors_config=sparse,
                    metadata=metadata,
                    shard_number=settings.shard_number,
                    replication_factor=settings.replication_factor,
                    write_consistency_factor=settings.write_consistency_factor,
                    on_disk_payload=settings.on_disk_payload,
                )

        connection.write(f"making of {one!r}", make)
        if not connection.is_local:  # where payload indexes mean nothing
            _index(connection, one, indexes)


def enable_graph(connection: Connection, name: str) -> bool:
    """Let Qdrant build the HNSW graph, if ``create(defer_graph=True)`` put that off.

    Returns:
        Whether it had been put off; ``is_optimized`` tells when it is there.
    """
    from qdrant_client import models

    if connection.is_local or not _has_deferred_graph(connection, name):
        return False
    settings = connection.settings
    graph = models.HnswConfigDiff(m=settings.hnsw_m, ef_construct=settings.hnsw_ef_construct)
    connection.write(
        f"indexing of {name!r}",
        lambda client: client.update_collection(
            name, vectors_config={DENSE: models.VectorParamsDiff(hnsw_config=graph)}
        ),
    )
    return True


def is_optimized(connection: Connection, name: str) -> bool:
    """Return whether Qdrant has finished building what it searches by.

    Raises:
        StorageError: it has given up; the message has its reason.
    """
    found = connection.read(f"look at {name!r}", lambda client: client.get_collection(name))
    if found.status == "red":
        raise StorageError(
            f"Qdrant at {connection.settings.place} could not index {name!r} "
            f"({found.optimizer_status}); look into the server's log and free memory or disk "
            "space, then run the command again"
        )
    return found.status == "green"


def drop(connection: Connection, name: str) -> None:
    """Remove both Qdrant collections; what is not there is passed over."""
    for one in (name, documents_of(name)):

        def remove(client: QdrantClient, one: str = one) -> None:
            if client.collection_exists(one):
                client.delete_collection(one)

        connection.write(f"removal of {one!r}", remove)


def switch_alias(connection: Connection, alias: str, name: str) -> None:
    """Let an alias mean another Qdrant collection, in one step.

    Args:
        connection: where.
        alias: what readers ask for.
        name: the Qdrant collection that it shall mean.

    Raises:
        StorageError: the alias is another collection's, or of somebody else; nothing changed.
    """
    from qdrant_client import models

    about = read_about(connection, name)
    aliases = _aliases(connection)
    _check_alias(connection, alias, aliases.get(alias), about)
    changes: list[Any] = [
        models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=name, alias_name=alias)
        )
    ]
    if alias in aliases:
        gone = models.DeleteAlias(alias_name=alias)
        changes.insert(0, models.DeleteAliasOperation(delete_alias=gone))
    connection.write(
        f"switch of the alias {alias!r}",
        lambda client: client.update_collection_aliases(change_aliases_operations=changes),
    )


def withdraw_alias(connection: Connection, alias: str, name: str) -> None:
    """Remove an alias, if it means this Qdrant collection."""
    from qdrant_client import models

    if _aliases(connection).get(alias) != name:
        return
    gone = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
    connection.write(
        f"removal of the alias {alias!r}",
        lambda client: client.update_collection_aliases(change_aliases_operations=[gone]),
    )


def aliases_of(connection: Connection, name: str) -> list[str]:
    """Return the aliases that mean a Qdrant collection; they go with it when it is removed."""
    return [alias for alias, target in _aliases(connection).items() if target == name]


def resolve(connection: Connection, name: str) -> str:
    """Return the Qdrant collection that a name means, which may be an alias."""
    return _aliases(connection).get(name, name)


def read_about(connection: Connection, name: str) -> About:
    """Return what a Qdrant collection says of itself.

    Raises:
        FormatVersionError: a newer version of the program made it.
        StorageError: there is none of that name, or it is not of this program.
    """
    found = find_metadata(connection, name)
    values = (found or {}).get(_METADATA)
    if not isinstance(values, Mapping):
        place = connection.settings.place
        what = "is not of this program" if found is not None else "is not there"
        raise StorageError(
            f"the collection {name!r} {what} at {place}; check its name and the address, or make "
            "it: gircse reindex COLLECTION --store qdrant"
        )
    if values.get("layout") != LAYOUT_VERSION:
        raise FormatVersionError(
            f"the collection {name!r} at {connection.settings.place} has layout "
            f"{values.get('layout')!r}, this program knows {LAYOUT_VERSION}; upgrade gircse-search"
        )
    try:
        return _about(values)
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"the metadata of collection {name!r} at {connection.settings.place} make no sense "
            f"({error}); make it anew: gircse reindex COLLECTION --store qdrant"
        ) from error


def find_metadata(connection: Connection, name: str) -> Mapping[str, Any] | None:
    """Return the metadata of a Qdrant collection; None where there is none of that name."""

    def ask(client: QdrantClient) -> Mapping[str, Any] | None:
        if not client.collection_exists(name):
            return None
        return client.get_collection(name).config.metadata or {}

    return connection.read(f"look for {name!r}", ask)


def _has_deferred_graph(connection: Connection, name: str) -> bool:
    found = connection.read(f"look at {name!r}", lambda client: client.get_collection(name))
    vectors = found.config.params.vectors
    graph = vectors[DENSE].hnsw_config if isinstance(vectors, dict) else None
    return graph is not None and graph.m == 0


def _aliases(connection: Connection) -> dict[str, str]:
    found = connection.read("list of aliases", lambda client: client.get_aliases())
    return {one.alias_name: one.collection_name for one in found.aliases}


def _check_alias(connection: Connection, alias: str, target: str | None, about: About) -> None:
    place = connection.settings.place
    if target is None:
        if find_metadata(connection, alias) is not None:
            raise StorageError(
                f"{alias!r} is the name of a collection at {place}, so it cannot be an alias; "
                "choose another name, or remove that collection"
            )
        return
    before = read_about(connection, target)
    same = (before.config and before.config.id) == (about.config and about.config.id)
    if not same:
        raise StorageError(
            f"the alias {alias!r} at {place} belongs to another collection of that name, made by "
            "somebody else or deleted since; give this one another name, or remove the alias"
        )


def _vectors(settings: QdrantSettings, dim: int, defer_graph: bool) -> dict[str, Any]:
    from qdrant_client import models

    graph = models.HnswConfigDiff(
        m=0 if defer_graph else settings.hnsw_m, ef_construct=settings.hnsw_ef_construct
    )
    return {
        DENSE: models.VectorParams(
            size=dim,
            # Of unit vectors the dot product is the cosine, and they stay as they are.
            distance=models.Distance.DOT,
            hnsw_config=graph,
            quantization_config=_quantization(settings),
            on_disk=settings.on_disk_vectors,
        )
    }


def _quantization(settings: QdrantSettings) -> Any:  # noqa: ANN401 - a union of the client's own
    from qdrant_client import models

    if settings.quantization == "scalar":
        return models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(
                type=models.ScalarType.INT8, quantile=0.99, always_ram=True
            )
        )
    if settings.quantization == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return None


def _sparse(settings: QdrantSettings) -> dict[str, Any]:
    from qdrant_client import models

    index = models.SparseIndexParams(on_disk=settings.on_disk_vectors)
    return {WORDS: models.SparseVectorParams(index=index, modifier=models.Modifier.IDF)}


def _index(connection: Connection, name: str, indexes: Mapping[str, str]) -> None:
    from qdrant_client import models

    for field, kind in indexes.items():
        schema = models.PayloadSchemaType(kind)

        def make(client: QdrantClient, field: str = field, schema: Any = schema) -> None:  # noqa: ANN401
            client.create_payload_index(name, field_name=field, field_schema=schema, wait=True)

        connection.write(f"index over {field} of {name!r}", make)


def _about(values: Mapping[str, Any]) -> About:
    config = None
    if "settings" in values:
        settings = values["settings"]
        config = CollectionConfig(
            Identity(str(values["id"]), float(values["created_at"])),
            ContentSettings(
                model=str(settings["model"]),
                dim=int(settings["dim"]),
                fingerprint=Fingerprint.from_dict(settings["fingerprint"]),
            ),
        )
    typical = float(values["typical_tokens"])
    if not typical > 0.0:
        raise ValueError(f"typical_tokens is {typical}")
    return About(str(values["name"]), config, typical, int(values["dim"]))
