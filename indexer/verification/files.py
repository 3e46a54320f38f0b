"""The files that a collection consists of: checks the small JSON ones, and lists what is beside.

Knows names and bytes; generations and contents are read by those who own them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from indexer.collections.config import CONFIG_FILE
from indexer.storage.sealed_json import read_sealed, sealed_text
from indexer.verification.findings import Findings, Part

__all__ = ["check_json", "contents_of", "note_strays"]

_CONTENT = re.compile(r"content-\d+")
_PASSING = re.compile(
    # locks, what SQLite keeps while a database is open, drafts of single files, what is being swept
    r".*\.lock|reindex\..*|write\.lock\.json|.*-(wal|shm)|.*\.new|\.(swept|new)-.*"
)
_ASIDE = re.compile(r".*\.damaged(-\d+)?(-wal)?")


def check_json(findings: Findings, path: Path, part: Part, *, remedy: str = "") -> bool:
    """Compare a JSON file with its checksum, byte by byte; return whether all is well.

    Args:
        findings: where to.
        path: the file.
        part: what it is a part of.
        remedy: what to do; to repair unless given.
    """
    findings.counts["files checked"] += 1
    try:
        content = path.read_bytes()
        values = read_sealed(path)
        has_seal = "sha256" in json.loads(content)
    except FileNotFoundError:
        findings.add(part, path, "it is missing", "restore the file from a backup")
        return False
    except OSError as error:
        findings.add(part, path, f"cannot be read: {error.strerror}", remedy)
        return False
    except ValueError as error:  # of JSON, or not even text
        findings.add(part, path, str(error), remedy)
        return False
    if has_seal and content == sealed_text(values).encode("utf-8"):
        return True
    if not has_seal and path.name == CONFIG_FILE and values.get("format_version") == 1:
        findings.remarks.append(
            f"{findings.file(path)} was written by a version without checksums, so that an altered "
            "byte in it is not noticed; `gircse reindex` writes it anew"
        )
        return True
    findings.add(part, path, "its bytes are not those that were written", remedy)
    return False


def contents_of(directory: Path) -> list[str]:
    """Return the names of all content folders of a collection, published or not."""
    found = [path.name for path in directory.glob("content-*") if _CONTENT.fullmatch(path.name)]
    return sorted(found, key=lambda name: int(name.rpartition("-")[2]))


def note_strays(findings: Findings, known: Iterable[Path]) -> None:
    """Remark on files that belong to nothing.

    Args:
        findings: where to.
        known: files and folders that were looked at; all below such a folder is known.
    """
    kept = set(known)
    for path in sorted(findings.directory.rglob("*")):
        is_known = path in kept or any(parent in kept for parent in path.parents)
        holds_known = path.is_dir() and any(path in other.parents for other in kept)
        if is_known or holds_known or _PASSING.fullmatch(path.name):
            continue
        if _ASIDE.fullmatch(path.name):
            findings.remarks.append(f"{findings.file(path)} was set aside as damaged; delete it")
        else:
            findings.remarks.append(f"{findings.file(path)} belongs to nothing; it is not searched")
        kept.add(path)  # and with it what is below
