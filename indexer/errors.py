"""The errors of the indexer.

IndexerError
├── UsageError                 the caller asked for something impossible (exit code 2)
│   ├── CollectionNotFoundError
│   └── InvalidFilterError
├── StaleCollectionError       the collection and the request do not fit (exit code 4)
│   ├── FingerprintMismatchError
│   └── FormatVersionError
├── CollectionBusyError        another process is writing to the collection
├── StorageError               the disk is full, read-only or damaged
│   └── StoreUnreachableError  the server that holds an index does not answer
└── ExtractionError            one file could not be read; never ends a run

Every message says what happened, with the values seen, and what to do.
"""

from __future__ import annotations

__all__ = [
    "CollectionBusyError",
    "CollectionNotFoundError",
    "ExtractionError",
    "FingerprintMismatchError",
    "FormatVersionError",
    "IndexerError",
    "InvalidFilterError",
    "StaleCollectionError",
    "StorageError",
    "StoreUnreachableError",
    "UsageError",
]


class IndexerError(Exception):
    """Root of everything that the indexer raises on purpose."""


class UsageError(IndexerError):
    """The request itself is wrong."""


class CollectionNotFoundError(UsageError):
    """No collection has that name."""


class InvalidFilterError(UsageError):
    """A ``--where`` condition could not be understood."""


class StaleCollectionError(IndexerError):
    """The collection was written under other settings than the request assumes."""


class FingerprintMismatchError(StaleCollectionError):
    """The collection was embedded by another model, step count or chunking."""


class FormatVersionError(StaleCollectionError):
    """The collection was written by a version of the program that stores it differently."""


class CollectionBusyError(IndexerError):
    """Another process holds the collection's write lock."""


class StorageError(IndexerError):
    """Reading or writing the collection's files failed."""


class StoreUnreachableError(StorageError):
    """The server that holds an index does not answer; the collection's own files are complete."""


class ExtractionError(IndexerError):
    """One file could not be turned into text.

    Args:
        code: short stable word for the cause, such as ``"encrypted"`` or ``"timeout"``.
        message: what happened, with the values seen.
        hint: what the user can do about it.
    """

    def __init__(self, code: str, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
