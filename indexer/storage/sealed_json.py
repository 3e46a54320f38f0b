"""Small JSON files that are written whole or not at all, and that tell when they were altered.

Each carries a checksum of its own values, so that a flipped byte is never taken for a setting.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from indexer.storage.segments import disk_errors, sync_folder

__all__ = ["read_sealed", "sealed_text", "write_sealed"]

_SEAL = "sha256"


def write_sealed(path: Path, values: Mapping[str, object]) -> None:
    """Put values in the place of a file in one step that survives a power cut.

    Args:
        path: the file; its folder must be there.
        values: plain values for JSON.

    Raises:
        StorageError: the disk is full or cannot be written; the previous file is untouched.
    """
    text = sealed_text(values)
    draft = path.with_name(f"{path.name}.new")
    with disk_errors(path, needed=len(text)):
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)


def sealed_text(values: Mapping[str, object]) -> str:
    """Return what ``write_sealed`` writes: equal values give equal text."""
    return json.dumps({**values, _SEAL: _seal(values)}, indent=2, ensure_ascii=False) + "\n"


def read_sealed(path: Path) -> dict[str, object]:
    """Return the values of a file; one without a checksum is taken as it is.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no object, or was altered since it was written.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError("it holds no object")
    seal = values.pop(_SEAL, None)
    if seal is not None and seal != _seal(values):
        raise ValueError(
            f"its content does not agree with its {_SEAL}: it is damaged, or was edited by hand "
            f"(then take the line with {_SEAL!r} out of it)"
        )
    return values


def _seal(values: Mapping[str, object]) -> str:
    canonical = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
