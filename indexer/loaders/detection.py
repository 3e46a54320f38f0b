"""Which format a file has, by its suffix and its first bytes together.

The content decides where it is unmistakable (a PDF called .txt is a PDF); elsewhere the suffix
does. A damaged or empty file keeps the format that its suffix promises, so that its loader can say
what is wrong with it; only what is no text and has no known format is nobody's.
"""

from __future__ import annotations

import re
from pathlib import Path

from indexer.loaders.encoding import looks_binary
from indexer.loaders.media_types import FILE_NAMES, MEDIA_TYPES, SUFFIXES

__all__ = ["HEAD_BYTES", "detect"]

HEAD_BYTES = 8192
"""How much of a file's beginning ``detect`` wants to see."""

_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_ZIP_MEMBERS = ((b"word/", "docx"), (b"ppt/", "pptx"), (b"xl/", "xlsx"))
_ZIP_MIME_TYPES = (
    (b"mimetypeapplication/epub+zip", "epub"),
    (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "xlsx"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def detect(path: Path, head: bytes) -> str | None:
    """Name the format of a file.

    Args:
        path: the file's path; only its last part is looked at.
        head: the first ``HEAD_BYTES`` bytes of the file, or all of it when it is shorter.

    Returns:
        A key of ``MEDIA_TYPES``, or None for binary data of no supported format.
    """
    by_suffix = SUFFIXES.get(path.suffix.lower()) or FILE_NAMES.get(path.name.lower())
    if not head:
        return by_suffix or "text"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return _detect_archive(by_suffix, head)
    if head.startswith(b"{\\rtf"):
        return None
    if head.startswith(_OLE):
        # .xls proper, or an encrypted or mislabelled Office file that its loader will explain
        return by_suffix if by_suffix in {"docx", "pptx", "xlsx"} else None
    if by_suffix is not None and MEDIA_TYPES[by_suffix].binary:
        return _detect_impostor(path, by_suffix, head)
    if looks_binary(head):
        return None
    return by_suffix or _sniff_text(head)


def _detect_archive(by_suffix: str | None, head: bytes) -> str | None:
    for signature, name in _ZIP_MIME_TYPES:
        if signature in head[:256]:
            return name
    if by_suffix is not None and MEDIA_TYPES[by_suffix].binary and by_suffix != "pdf":
        return by_suffix
    return next((name for member, name in _ZIP_MEMBERS if member in head), None)


def _detect_impostor(path: Path, by_suffix: str, head: bytes) -> str:
    """Name what a file with a binary format's suffix is, when its first bytes are not that."""
    if _HTML.match(head):
        # an error page saved as .pdf, or the HTML tables that many programs export as .xls
        return "html"
    if path.suffix.lower() == ".xls" and not looks_binary(head):
        return "csv"
    return by_suffix


def _sniff_text(head: bytes) -> str:
    if _HTML.match(head):
        return "html"
    if head.startswith(b"#!"):
        return "code"
    return "text"
