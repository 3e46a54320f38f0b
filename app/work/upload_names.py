"""Names of uploaded files, made harmless: they arrive as strangers send them."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

__all__ = ["safe_name", "safe_path"]

_MAX_NAME_BYTES = 180
_MAX_SUFFIX_BYTES = 20
_MAX_FOLDER_BYTES = 60
_MAX_FOLDERS = 8

# Controls, line separators, lone surrogates, and the marks that make a name read backwards.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def safe_name(name: str) -> str:
    """Return a file name for what a browser sent as one: no path, no controls, not too long.

    Characters that mean something to HTML or a shell stay: nothing here is run, and whatever shows
    a name escapes it.
    """
    last = re.split(r"[/\\]", name)[-1]
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", last)).strip(" .")
    stem, dot, suffix = text.rpartition(".")
    if not dot or not stem or len(suffix.encode()) > _MAX_SUFFIX_BYTES:
        return _cut(text, _MAX_NAME_BYTES) or "unnamed"
    return _cut(stem, _MAX_NAME_BYTES - len(suffix.encode()) - 1) + dot + suffix


def safe_path(name: str) -> PurePath:
    """Return a relative path for one that a browser sent of a file in a folder.

    The folders next to the file stay, as far as they name anything.
    """
    *folders, last = name.split("/")
    kept = [_UNSAFE.sub("_", unicodedata.normalize("NFC", part)) for part in folders]
    cut = [_cut(part.replace("\\", "_").strip(" ."), _MAX_FOLDER_BYTES) for part in kept]
    return PurePath(*[part for part in cut if part][-_MAX_FOLDERS:], safe_name(last))


def _cut(text: str, size_bytes: int) -> str:
    return text.encode()[:size_bytes].decode(errors="ignore").rstrip(" .")
