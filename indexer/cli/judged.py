"""Which judgements of a collection a command measures by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.cli.session import Session
from indexer.errors import UsageError
from indexer.wording import count_text

if TYPE_CHECKING:
    from indexer.collection import Collection
    from indexer.evaluation.judgements import Judgements

__all__ = ["judgements_of"]


def judgements_of(
    target: Collection, folder: Path | None, split: str, session: Session
) -> Judgements:
    """Return judgements of a collection's documents.

    Args:
        target: the collection.
        folder: where they are; None for what users said of its hits.
        split: which of the folder's judgements.
        session: told what was left out.

    Raises:
        UsageError: there are none, or they cannot be used.
    """
    from indexer.evaluation.judgement_book import JudgementBook
    from indexer.evaluation.judgements import read_judgements

    documents = target.store.documents()
    if folder is not None:
        return read_judgements(folder, documents, split=split)
    judgements, missing = JudgementBook(target.directory).judgements(documents)
    if missing:
        session.terminal.note(
            f"{count_text(missing, 'judgement')} left out, of documents that are not in "
            f"{target.name!r} any more."
        )
    if not judgements.queries:
        raise UsageError(
            f"no hit of {target.name!r} was judged as an answer yet: give thumbs to hits in the "
            "app, or name a folder with --judgements DIR"
        )
    return judgements
