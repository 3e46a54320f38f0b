"""Shows a passage in the file that it came from: a page as a picture, markup, a table, a listing.

Files are read again, in limited child processes like those of the extraction. What comes back is
plain values and safe HTML; where a passage cannot be found in it, that is said, and nothing marked.
"""

from __future__ import annotations

from indexer.preview.previewer import Previewer
from indexer.preview.values import (
    Box,
    Listing,
    Markup,
    PagePicture,
    Piece,
    Preview,
    PreviewLimits,
    PreviewRequest,
    Table,
    TableRow,
)

__all__ = [
    "Box",
    "Listing",
    "Markup",
    "PagePicture",
    "Piece",
    "Preview",
    "PreviewLimits",
    "PreviewRequest",
    "Previewer",
    "Table",
    "TableRow",
]
