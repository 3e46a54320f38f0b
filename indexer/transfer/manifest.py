"""What an archive says of itself, in ``manifest.json``.

It is read before anything else, and trusted in nothing that the other files do not bear out.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "DATABASE_MEMBER",
    "JUDGEMENTS_MEMBER",
    "MANIFEST_MEMBER",
    "SETTINGS_MEMBER",
    "Manifest",
    "Member",
]

MANIFEST_MEMBER = "manifest.json"
SETTINGS_MEMBER = "settings.json"
DATABASE_MEMBER = "content.db"
JUDGEMENTS_MEMBER = "judgements.jsonl"
"""There only where something was judged, and was to be exported."""

_FORMAT = "gircse-search collection"
_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive.

    Args:
        path: its name in the archive.
        size: in bytes, unpacked.
        sha256: its checksum, in hexadecimal.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds.

    Args:
        name: name of the collection that was exported.
        exported_at: when, seconds since the epoch.
        program: version of the program that did it.
        documents: how many there are.
        chunks: their passages.
        index: type of the index that it had, to be made anew.
        members: every other file of the archive.
    """

    name: str
    exported_at: float
    program: str
    documents: int
    chunks: int
    index: str
    members: tuple[Member, ...]

    @property
    def size_bytes(self) -> int:
        """Size of all members, unpacked."""
        return sum(member.size for member in self.members)

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {"format": _FORMAT, "format_version": _VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Manifest:
        """Return what ``as_dict`` wrote.

        Raises:
            ValueError: it makes no sense, or is of a newer version; the message says which.
        """
        if values.get("format") != _FORMAT:
            raise ValueError("it is no archive of a collection")
        version = values.get("format_version")
        if version != _VERSION:
            raise ValueError(
                f"it has format {version}, this program reads {_VERSION}: upgrade gircse-search"
            )
        kinds: dict[str, type | tuple[type, ...]] = {
            "name": str,
            "exported_at": (int, float),
            "program": str,
            "documents": int,
            "chunks": int,
            "index": str,
            "members": list,
        }
        for name, kind in kinds.items():
            if not isinstance(values.get(name), kind):
                raise ValueError(f"its {name!r} makes no sense")
        members = tuple(_member(item) for item in values["members"])
        _check_paths([member.path for member in members])
        return cls(**{**{name: values[name] for name in kinds}, "members": members})


def _member(values: object) -> Member:
    if isinstance(values, dict):
        path, size, sha256 = values.get("path"), values.get("size"), values.get("sha256")
        if (
            isinstance(path, str)
            and isinstance(size, int)
            and size >= 0
            and isinstance(sha256, str)
            and _SHA256.fullmatch(sha256)
        ):
            return Member(path, size, sha256)
    raise ValueError("its 'members' make no sense")


def _check_paths(paths: list[str]) -> None:
    needed = {SETTINGS_MEMBER, DATABASE_MEMBER}
    vectors = [path for path in paths if path not in {*needed, JUDGEMENTS_MEMBER}]
    expected = [f"vectors/{number:05d}.npy" for number in range(len(vectors))]
    if needed - set(paths) or sorted(vectors) != sorted(expected):
        raise ValueError("it lists other files than an archive has")
