"""What a command measures a collection by: whose judgements, and at which step counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.cli.session import Session
from indexer.errors import UsageError
from indexer.wording import count_text

if TYPE_CHECKING:
    from indexer.collections.collection import Collection
    from indexer.embedder import ModelInfo
    from indexer.evaluation.judgements import Judgements

__all__ = ["judgements_of", "step_counts"]


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


def step_counts(text: str | None, info: ModelInfo, current: int) -> tuple[int, ...]:
    """Return the step counts to compare, with the one in use among them.

    Args:
        text: of the option ``--steps``; None for the usual ones.
        info: the model.
        current: the one in use.

    Raises:
        UsageError: the text is wrong, or the model does not define one of them.
    """
    from indexer.evaluation.plan import steps_of_model

    asked = None if text is None else [_number(part) for part in text.split(",")]
    return tuple(sorted({*steps_of_model(asked, info), *steps_of_model([current], info)}))


def _number(text: str) -> int:
    if not text.strip().isdecimal():
        raise UsageError(f"--steps holds {text!r}; expected whole numbers such as 0,1,5,20.")
    return int(text)
