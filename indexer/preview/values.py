"""What goes into a preview and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from indexer.errors import UsageError

__all__ = [
    "Box",
    "Listing",
    "Markup",
    "PagePicture",
    "Piece",
    "Preview",
    "PreviewLimits",
    "PreviewRequest",
    "Table",
    "TableRow",
]

_MIB = 1 << 20
_MIN_MEMORY_BYTES = 256 * _MIB


@dataclass(frozen=True, slots=True)
class PreviewLimits:
    """What a preview may take.

    Args:
        timeout_s: wall-clock seconds, waiting for others included.
        memory_bytes: address space of the reading process; enforced on Linux.
        max_file_bytes: larger files are refused unread.
    """

    timeout_s: float = 20.0
    memory_bytes: int = 1024 * _MIB
    max_file_bytes: int = 512 * _MIB

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s < 1e6:
            raise UsageError(f"a time limit of {self.timeout_s} s is not possible")
        if self.memory_bytes < _MIN_MEMORY_BYTES or self.max_file_bytes < 1:
            raise UsageError(
                f"memory_bytes={self.memory_bytes} and max_file_bytes={self.max_file_bytes} are "
                f"too small: the parsers alone take {_MIN_MEMORY_BYTES // _MIB} MiB"
            )


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """What is to be shown.

    Args:
        path: the file.
        sha256: of the content that was indexed, in hexadecimal; another content is refused.
        media_type: ``pdf``, ``markdown``, ``html``, ``csv``, ``xlsx``; others are shown as code.
        passage: what is to be found and marked; empty for the document as such.
        highlights: spans of the passage to mark once more.
        place: where in the document the passage begins, from 0 to 1.
        page: 1-based page to show, of formats that have pages.
        before: characters, lines or rows to show before the passage.
        after: and after it.
    """

    path: Path
    sha256: str
    media_type: str
    passage: str = ""
    highlights: tuple[tuple[int, int], ...] = ()
    place: float = 0.0
    page: int = 1
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in shares of its width and height from the top left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page as it is printed.

    Args:
        page: its number, from 1.
        pages: how many there are.
        picture: PNG or JPEG file.
        picture_type: its MIME type.
        width: of the picture in pixels.
        height: of the picture in pixels.
        passage: boxes around the lines of the passage; none when it is not found.
        highlights: boxes around what is to be marked in it.
    """

    page: int
    pages: int
    picture: bytes
    picture_type: str
    width: int
    height: int
    passage: tuple[Box, ...]
    highlights: tuple[Box, ...]

    @property
    def has_passage(self) -> bool:
        """Whether the passage was found."""
        return bool(self.passage)


@dataclass(frozen=True, slots=True)
class Markup:
    """A stretch of a document as safe HTML.

    Args:
        html: without scripts, styles, pictures or anything else that acts or fetches.
        is_start: it begins where the document does.
        is_end: it ends where the document does.
        has_passage: the passage was found and is marked.
    """

    html: str
    is_start: bool
    is_end: bool
    has_passage: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a line of code.

    Args:
        text: without line ends.
        kind: what it is to the language, such as ``"keyword"``; empty for what needs no colour.
        is_highlighted: it is to be marked.
    """

    text: str
    kind: str
    is_highlighted: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines of source code.

    Args:
        language: its name for people.
        first_line: number of the first line.
        lines: what each is made of.
        passage: numbers of the first and the last line of the passage; None when it is not found.
        is_start: it begins where the file does.
        is_end: it ends where the file does.
    """

    language: str
    first_line: int
    lines: tuple[tuple[Piece, ...], ...]
    passage: tuple[int, int] | None
    is_start: bool
    is_end: bool

    @property
    def has_passage(self) -> bool:
        """Whether the passage was found."""
        return self.passage is not None


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table.

    Args:
        number: in its file or sheet, from 1.
        cells: their texts.
        is_found: it is part of the passage.
    """

    number: int
    cells: tuple[str, ...]
    is_found: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a table.

    Args:
        name: of the sheet; empty where a file is one table.
        header: names of the columns; empty when there are none.
        rows: those shown.
        is_start: they begin where the table does.
        is_end: they end where the table does.
        hidden_columns: how many columns are left out at the right.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[TableRow, ...]
    is_start: bool
    is_end: bool
    hidden_columns: int

    @property
    def has_passage(self) -> bool:
        """Whether the passage was found."""
        return any(row.is_found for row in self.rows)


Preview = PagePicture | Markup | Listing | Table
