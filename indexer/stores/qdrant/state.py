"""How far a Qdrant collection follows its content: one point among the documents.

Beside the sequence of the last document that was taken in lies what a reader cannot count for
itself: chunks and tokens of the whole content, and how its owner wants it searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from indexer.collections.search_defaults import SearchDefaults
from indexer.stores.qdrant.layout import documents_of
from indexer.stores.qdrant.points import STATE_ID

if TYPE_CHECKING:
    from indexer.stores.qdrant.connection import Connection

__all__ = ["State", "read_state", "write_state"]


@dataclass(frozen=True, slots=True)
class State:
    """What Qdrant has.

    Args:
        sequence: of the last change of a document that it contains.
        stamp: of the push that wrote it, which the content knows as well.
        chunks: how many chunks the content had.
        tokens: how many tokens those had together.
        is_whole: whether nothing is in Qdrant that the content does not have.
        defaults: how the collection is searched where the user says nothing.
    """

    sequence: int = 0
    stamp: str = ""
    chunks: int = 0
    tokens: int = 0
    is_whole: bool = True
    defaults: SearchDefaults = field(default_factory=SearchDefaults)

    @property
    def average(self) -> float:
        """Tokens of a chunk, on average."""
        return max(self.tokens, 1) / max(self.chunks, 1)


def read_state(connection: Connection, name: str) -> State | None:
    """Return the state of a Qdrant collection; None where nothing was ever pushed."""
    found = connection.read(
        f"look at the state of {name!r}",
        lambda client: client.retrieve(documents_of(name), [STATE_ID], with_payload=True),
    )
    return _state(found[0].payload or {}) if found else None


def write_state(connection: Connection, name: str, state: State) -> None:
    """Replace the state of a Qdrant collection."""
    from qdrant_client import models

    payload = {**asdict(state), "kind": "state"}
    point = models.PointStruct(id=STATE_ID, vector={}, payload=payload)
    connection.write(
        f"note of the state of {name!r}",
        lambda client: client.upsert(documents_of(name), [point], wait=True),
    )


def _state(payload: Mapping[str, Any]) -> State:
    return State(
        sequence=int(payload["sequence"]),
        stamp=str(payload["stamp"]),
        chunks=int(payload["chunks"]),
        tokens=int(payload["tokens"]),
        is_whole=bool(payload["is_whole"]),
        defaults=SearchDefaults(
            dense_weight=payload["defaults"]["dense_weight"], steps=payload["defaults"]["steps"]
        ),
    )
