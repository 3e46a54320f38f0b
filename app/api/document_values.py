"""What is asked and answered about documents."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, WithJsonSchema

from app.api.operations import Answer, AskedOfCollection
from app.work.uploads import Upload
from indexer.searching.filters import Where
from indexer.storage.ledger import FileState

__all__ = [
    "DocumentAnswer",
    "ListAnswer",
    "ListAsked",
    "OneAsked",
    "PathAnswer",
    "PathAsked",
    "QueuedAnswer",
    "RemovedAnswer",
    "TextAnswer",
    "UploadAnswer",
    "UploadAsked",
]

_MAX_PAGE = 1000


class ListAsked(AskedOfCollection):
    """Which documents to list."""

    state: tuple[FileState, ...] = Field((), description="Only files in these states.")
    type: tuple[str, ...] = Field((), description="Only documents of these types, such as pdf.")
    path: str | None = Field(None, description="Only documents under it, or that fit the pattern.")
    after: str | None = Field(None, description="Only documents changed that day or later.")
    before: str | None = Field(None, description="Only documents changed before that day.")
    offset: int = Field(0, ge=0)
    limit: int = Field(100, ge=1, le=_MAX_PAGE)

    def where(self) -> Where | None:
        """Return its conditions on documents that can be searched."""
        conditions = [f"type={value}" for value in self.type]
        named = (("path", self.path), ("after", self.after), ("before", self.before))
        conditions += [f"{name}={value}" for name, value in named if value is not None]
        return Where.parse(conditions) if conditions else None


class OneAsked(AskedOfCollection):
    """One document."""

    id: str


class UploadAsked(AskedOfCollection):
    """Files to add; copies of them are kept."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    files: Annotated[
        tuple[Upload, ...],
        WithJsonSchema({"type": "array", "items": {"type": "string", "format": "binary"}}),
    ] = Field(min_length=1, description="Any number of files, under any field names.")


class PathAsked(AskedOfCollection):
    """A file or folder on the server's own disk to add; it is read where it is."""

    path: str = Field(description="Absolute, or from ~; a folder is read to any depth.")


class DocumentAnswer(Answer):
    """A document and how far it has come; what is None is not known before it was read."""

    id: str
    source: str
    state: FileState
    title: str
    media_type: str | None
    modified_at: float | None = Field(description="Seconds since the epoch.")
    size_bytes: int | None
    chunks: int = Field(description="Its passages; 0 while it cannot be searched.")
    metadata: dict[str, str]
    code: str | None = Field(description="Short stable word for what went wrong, if anything.")
    message: str | None
    hint: str | None


class TextAnswer(DocumentAnswer):
    """A document with its text."""

    text: str | None = Field(description="None while there is nothing to search.")


class ListAnswer(Answer):
    """One page of documents, ordered by source."""

    collection: str
    documents: list[DocumentAnswer]
    next_offset: int | None = Field(description="Where the next page begins; None at the end.")


class QueuedAnswer(Answer):
    """A document that waits to be read."""

    id: str
    name: str
    source: str
    state: FileState


class UploadAnswer(Answer):
    """What was taken and is read next; ask for the documents to see what becomes of them."""

    collection: str
    documents: list[QueuedAnswer]


class PathAnswer(Answer):
    """A file or folder that is read next."""

    collection: str
    path: str
    job: str


class RemovedAnswer(Answer):
    """A document that is no longer found."""

    id: str
    collection: str
    source: str
