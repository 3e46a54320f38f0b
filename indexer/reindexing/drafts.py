"""Contents that are not live yet: how a rebuild that was stopped or killed finds its work again.

A draft is a content's folder with a note in it, ``draft.json``, which says what index it is for.
The note is written last and goes when the content is live.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from indexer.collections.config import ContentSettings, read_settings
from indexer.collections.generation import make_content
from indexer.collections.generations import next_number, read_generations
from indexer.errors import FormatVersionError, IndexerError, UsageError
from indexer.reindexing.request import IndexWish, StoreName
from indexer.storage.sealed_json import read_sealed, write_sealed

__all__ = ["DRAFT_NOTE", "Draft", "discard_drafts", "find_draft", "finish_draft", "make_draft"]

DRAFT_NOTE = "draft.json"


@dataclass(frozen=True, slots=True)
class Draft:
    """A content that is being made.

    Args:
        content: name of its folder in the collection's directory.
        settings: what its vectors are made with.
        wish: the index that it is for.
    """

    content: str
    settings: ContentSettings
    wish: IndexWish


def find_draft(directory: Path) -> Draft | None:
    """Return the draft in a collection's directory that can be gone on with; None for none.

    One that is damaged, or was made by a newer version of the program, is none.
    """
    found = [draft for note in _notes(directory) if (draft := _read(directory, note)) is not None]
    return max(found, key=lambda draft: int(draft.content.rpartition("-")[2]), default=None)


def make_draft(directory: Path, settings: ContentSettings, wish: IndexWish) -> Draft:
    """Make an empty draft.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    content = f"content-{next_number(directory)}"
    make_content(directory / content, settings)
    draft = Draft(content, settings, wish)
    write_sealed(directory / content / DRAFT_NOTE, wish.as_dict())
    return draft


def finish_draft(directory: Path, content: str) -> None:
    """Take the note out of a content that is live."""
    with suppress(FileNotFoundError):
        (directory / content / DRAFT_NOTE).unlink()


def discard_drafts(directory: Path) -> list[str]:
    """Remove all drafts; return the names of their folders."""
    names = [note.parent.name for note in _notes(directory)]
    for name in names:
        (directory / name / DRAFT_NOTE).unlink(missing_ok=True)  # if killed now, a sweep does it
        shutil.rmtree(directory / name, ignore_errors=True)
    return names


def _notes(directory: Path) -> list[Path]:
    used = {record.content for record in read_generations(directory).all}
    notes = []
    for note in directory.glob(f"content-*/{DRAFT_NOTE}"):
        if note.parent.name not in used:
            notes.append(note)
            continue
        # Its rebuild was killed between the swap and here. Left alone, the note would make a draft
        # of the content again once it is no longer used, and its old vectors would come back.
        with suppress(OSError):
            note.unlink()
    return notes


def _read(directory: Path, note: Path) -> Draft | None:
    try:
        wish = _wish(read_sealed(note))
        settings = read_settings(directory, note.parent)
    except (OSError, ValueError, UsageError, FormatVersionError, IndexerError):
        return None
    return Draft(note.parent.name, settings, wish)


def _wish(values: Mapping[str, object]) -> IndexWish:
    index, store = values.get("index"), values.get("store")
    budget_ms, budget_mb = values.get("budget_ms"), values.get("budget_mb")
    if not all(isinstance(text, str | None) for text in (index, store)):
        raise ValueError("'index' and 'store' must be words")
    if not all(isinstance(budget, int | float | None) for budget in (budget_ms, budget_mb)):
        raise ValueError("'budget_ms' and 'budget_mb' must be numbers")
    return IndexWish(
        index=cast("str | None", index),
        store=cast("StoreName | None", store),
        budget_ms=cast("float | None", budget_ms),
        budget_mb=cast("float | None", budget_mb),
    )
