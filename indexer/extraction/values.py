"""What goes into an extraction and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexer.documents import Chunk, Document
from indexer.errors import UsageError
from indexer.loaders.supervision import MAX_TEXT_CHARS

__all__ = ["ExtractionLimits", "ExtractionRequest", "ExtractionResult", "Status"]

Status = Literal["ready", "no_text", "failed", "skipped"]

_MIB = 1024 * 1024
# the parsers and their tables alone take a good part of this
_MIN_MEMORY_BYTES = 256 * _MIB


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """What reading one file may take.

    Args:
        timeout_s: wall-clock seconds.
        memory_bytes: address space of the reading process; enforced on Linux.
        max_file_bytes: larger files are refused unread.
        max_text_chars: characters of one document's text.
    """

    timeout_s: float = 120.0
    memory_bytes: int = 1024 * _MIB
    max_file_bytes: int = 512 * _MIB
    max_text_chars: int = MAX_TEXT_CHARS

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s < 1e6:
            raise UsageError(
                f"a time limit of {self.timeout_s} s is not possible: choose more than 0 "
                "and less than 1,000,000"
            )
        if self.memory_bytes < _MIN_MEMORY_BYTES:
            raise UsageError(
                f"a memory limit of {self.memory_bytes // _MIB} MiB is too small for the parsers: "
                f"choose at least {_MIN_MEMORY_BYTES // _MIB} MiB"
            )
        if self.max_file_bytes < 1 or self.max_text_chars < 1:
            raise UsageError(
                f"max_file_bytes={self.max_file_bytes} and max_text_chars={self.max_text_chars} "
                "have to be positive"
            )


@dataclass(frozen=True, slots=True)
class ExtractionRequest:
    """A file to read.

    Args:
        path: where it is.
        source: its address in the collection, without lone surrogates.
        name: its file name for people, the title of documents that state none.
    """

    path: Path
    source: str
    name: str


@dataclass(frozen=True, slots=True)
class ExtractionResult:
    """What became of a file.

    Args:
        request: the file.
        status: ``ready``, ``no_text`` (read, but empty), ``failed`` or ``skipped`` (no document).
        sha256: of the bytes that were read, in hexadecimal; None when they were not read whole.
        size: bytes; of the content that was read, else of the file as far as it is known, else 0.
        mtime_ns: its time of modification, likewise.
        document: present when ``ready``.
        chunks: its passages in order.
        code: stable word for the cause unless ``ready``, such as ``"encrypted"``.
        message: the cause; in a ``ready`` result, what had to be left out, if anything.
        hint: what the user can do.
        seconds: how long it took.
    """

    request: ExtractionRequest
    status: Status
    sha256: str | None
    size: int
    mtime_ns: int
    document: Document | None
    chunks: tuple[Chunk, ...]
    code: str | None
    message: str | None
    hint: str | None
    seconds: float
