"""What a collection was made with, now and before its last rebuild."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.collections.config import read_settings
from indexer.collections.generations import read_generations
from indexer.collections.library import Library
from indexer.errors import IndexerError
from indexer.wording import steps_text, time_text

__all__ = ["Version", "previous_version"]


@dataclass(frozen=True, slots=True)
class Version:
    """A generation of a collection, as people tell it from another.

    Args:
        number: counts them.
        made_at: when it became live, seconds since the epoch.
        model: of its vectors.
        steps: refinement steps of its documents.
        max_tokens: tokens of a passage at most.
    """

    number: int
    made_at: float
    model: str
    steps: int
    max_tokens: int

    def text(self) -> str:
        """Return what tells it apart, in a few words."""
        return (
            f"{self.model}, {steps_text(self.steps)}, passages of up to {self.max_tokens} tokens, "
            f"made {time_text(self.made_at)}"
        )


def previous_version(library: Library, name: str) -> Version | None:
    """Return the version that a collection can be returned to, even where the live one is damaged.

    Returns:
        None where there is none, or nothing can be told of it.
    """
    directory = library.directory(name)
    try:
        record = read_generations(directory).previous
        if record is None:
            return None
        settings = read_settings(directory, record.content_directory(directory))
    except IndexerError:
        return None  # a check tells of it
    return Version(
        number=record.number,
        made_at=record.made_at,
        model=settings.model,
        steps=settings.steps,
        max_tokens=settings.chunking.max_tokens,
    )
