"""Undoes a single altered byte in a small file that carries its own checksum.

A few hundred thousand candidates are tried; only the one that was written agrees with the checksum.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from indexer.storage.sealed_json import sealed_text
from indexer.storage.segments import disk_errors, sync_folder

__all__ = ["heal"]

_LARGEST = 4096  # bytes; a million candidates take about a minute


def heal(path: Path) -> bool:
    """Put one altered byte of a JSON file right; return whether that was all that was wrong.

    The damaged file is kept beside it.

    Raises:
        StorageError: the file cannot be read or written.
    """
    with disk_errors(path, needed=0):
        content = path.read_bytes()
        right = _restored(content)
        if right is None:
            return False
        draft = path.with_name(f"{path.name}.new")
        with draft.open("wb") as stream:
            stream.write(right)
            stream.flush()
            os.fsync(stream.fileno())
        _keep_damaged(path, content)
        draft.replace(path)
        sync_folder(path.parent)
    return True


def _keep_damaged(path: Path, content: bytes) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    aside.write_bytes(content)


def _restored(content: bytes) -> bytes | None:
    """Return the only content that differs in one byte and agrees with its checksum."""
    if len(content) > _LARGEST:
        return None
    candidate = bytearray(content)
    for position, found in enumerate(content):
        for byte in range(256):
            candidate[position] = byte
            if byte != found and _is_whole(candidate):
                return bytes(candidate)
        candidate[position] = found
    return None


def _is_whole(content: bytearray) -> bool:
    try:
        values = json.loads(content)
        if not isinstance(values, dict) or "sha256" not in values:
            return False
        del values["sha256"]
        return sealed_text(values).encode("utf-8") == content
    except (ValueError, RecursionError):
        return False
