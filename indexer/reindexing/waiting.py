"""Documents that wait for vectors, and the texts that the model has not been given yet.

Values in memory only; the copy decides when to embed and when to store.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from indexer.reindexing.transit import Parcel

__all__ = ["Waiting"]

_DOCUMENTS_PER_WRITE = 256
_CHUNKS_PER_WRITE = 4096
_CHARS_PER_WRITE = 8_000_000


class Waiting:
    """Parcels on their way through the model."""

    def __init__(self) -> None:
        self.rows: dict[bytes, int] = {}
        self.fresh: dict[bytes, str] = {}
        self.texts: dict[bytes, str] = {}
        self._given: set[bytes] = set()
        self._parcels: list[Parcel] = []
        self._complete: list[Parcel] = []

    def __len__(self) -> int:
        return len(self._parcels) + len(self._complete)

    def add(self, parcel: Parcel, known: Mapping[bytes, int]) -> None:
        """Take in a document.

        Its texts without a row become ``fresh``, unless they wait for the model already.

        Args:
            parcel: the document.
            known: rows of its texts.
        """
        self.rows.update(known)
        self.fresh.update(
            (key, text)
            for key, text in parcel.texts.items()
            if key not in self.rows and key not in self.texts and key not in self._given
        )
        is_complete = all(key in self.rows for key in parcel.hashes)
        (self._complete if is_complete else self._parcels).append(parcel)

    def release(self) -> None:
        """Let all fresh texts wait for the model."""
        self.texts.update(self.fresh)
        self.fresh = {}

    def next_texts(self, count: int) -> dict[bytes, str]:
        """Remove and return texts for the model."""
        given = dict(islice(self.texts.items(), count))
        for key in given:
            del self.texts[key]
        self._given.update(given)
        return given

    def arrive(self, rows: Mapping[bytes, int]) -> None:
        """Note the rows of texts whose vectors are in the archive now."""
        self.rows.update(rows)
        self._given.difference_update(rows)
        still: list[Parcel] = []
        for parcel in self._parcels:
            is_complete = all(key in self.rows for key in parcel.hashes)
            (self._complete if is_complete else still).append(parcel)
        self._parcels = still

    @property
    def is_worth_a_write(self) -> bool:
        """Whether enough documents are complete to store them together."""
        return (
            len(self._complete) >= _DOCUMENTS_PER_WRITE
            or sum(len(parcel.chunks) for parcel in self._complete) >= _CHUNKS_PER_WRITE
            or sum(len(parcel.document.text) for parcel in self._complete) >= _CHARS_PER_WRITE
        )

    def take_complete(self) -> tuple[list[Parcel], dict[bytes, int]]:
        """Remove and return the documents that are complete, with the rows of their texts."""
        complete, self._complete = self._complete, []
        rows = {key: self.rows[key] for parcel in complete for key in parcel.hashes}
        # Later documents find these in the archive: only what others wait for is kept in mind.
        wanted = {key for parcel in self._parcels for key in parcel.hashes}
        self.rows = {key: row for key, row in self.rows.items() if key in wanted}
        return complete, rows
