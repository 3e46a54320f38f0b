"""What is known of a collection's generations: plain values, as the pointer states them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

__all__ = ["FOLDER_NAME", "ROOT_CONTENT", "GenerationRecord", "Generations"]

ROOT_CONTENT = "."
"""Name of the content that a collection of format 1 has in its own directory."""

FOLDER_NAME = re.compile(r"(content|index)-(\d+)")
"""How the folders of contents and indexes are called."""


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """What the pointer says of one generation.

    Args:
        number: grows from one to the next; 0 is what a collection of format 1 has in its own
            directory.
        content: name of its content's folder; ``"."`` is the collection's directory.
        store: what searches it, ``"faiss"`` or ``"qdrant"``.
        index: type of its index, as ``indexer.stores.index_types`` names it.
        made_at: when it was made, seconds since the epoch.
        measured: recall, latency and size as measured after it was built; None when they were not.
        why: why this index type, in words; empty where nobody chose.
    """

    number: int
    content: str
    store: str = "faiss"
    index: str = "flat"
    made_at: float = 0.0
    measured: Mapping[str, object] | None = None
    why: str = ""

    def __post_init__(self) -> None:
        match = FOLDER_NAME.fullmatch(self.content)
        if self.content != ROOT_CONTENT and (match is None or match[1] != "content"):
            raise ValueError(f"{self.content!r} is no folder of a content")
        if self.number < 0 or (self.number == 0 and self.content != ROOT_CONTENT):
            raise ValueError(f"{self.number} cannot be the number of a generation")

    def content_directory(self, directory: Path) -> Path:
        """Return the folder of its content in a collection's directory."""
        return directory / self.content

    def index_directory(self, directory: Path) -> Path:
        """Return the folder of its index in a collection's directory."""
        return directory / f"index-{self.number}" if self.number else directory

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> GenerationRecord:
        """Return the record that ``as_dict`` wrote; what newer versions added is passed over.

        Raises:
            KeyError, TypeError, ValueError: a value is absent or makes no sense.
        """
        known = {field.name for field in fields(cls)}
        record = cls(**{name: values[name] for name in values if name in known})  # type: ignore[arg-type]
        is_right = (
            isinstance(record.number, int)
            and all(isinstance(text, str) for text in (record.store, record.index, record.why))
            and isinstance(record.made_at, int | float)
            and isinstance(record.measured, dict | None)
        )
        if not is_right:
            raise ValueError(f"generation {record.number} has a value of the wrong kind")
        return record

    def is_same(self, other: GenerationRecord) -> bool:
        """Return whether both are about one generation, whatever was measured meanwhile."""
        return (self.number, self.made_at) == (other.number, other.made_at)


@dataclass(frozen=True, slots=True)
class Generations:
    """What the pointer says.

    Args:
        live: the generation that is searched.
        previous: the one before it, to which ``rollback`` returns; None when there is none.
    """

    live: GenerationRecord
    previous: GenerationRecord | None = None

    @property
    def all(self) -> tuple[GenerationRecord, ...]:
        """Those that are kept, the live one first."""
        return (self.live,) if self.previous is None else (self.live, self.previous)

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "live": self.live.number,
            "previous": None if self.previous is None else self.previous.number,
            "generations": [record.as_dict() for record in self.all],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Generations:
        """Return the generations that ``as_dict`` wrote.

        Raises:
            KeyError, TypeError, ValueError: a value is absent or makes no sense.
        """
        listed = values["generations"]
        if not isinstance(listed, list):
            raise ValueError("'generations' must be a list")
        records = {record.number: record for record in map(GenerationRecord.from_dict, listed)}
        live, previous = values["live"], values["previous"]
        if not isinstance(live, int) or not isinstance(previous, int | None):
            raise ValueError("'live' and 'previous' must be numbers")
        for number in (live, previous):
            if number is not None and number not in records:
                raise ValueError(f"generation {number} is not listed")
        return cls(records[live], None if previous is None else records[previous])
