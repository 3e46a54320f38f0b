"""What a rebuild tells at its end. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from indexer.collections.generations import GenerationRecord
    from indexer.reindexing.plan import ReindexPlan

__all__ = ["Outcome", "ReindexReport"]

Outcome = Literal["done", "stopped", "cancelled", "planned"]


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """The end of a rebuild.

    Args:
        outcome: done: the new generation is live; stopped: the next call goes on; cancelled: what
            was done so far is thrown away; planned: a dry run.
        plan: what was to be done.
        before: the generation that was live.
        after: the generation that is; None unless it is done.
        documents: documents of the collection.
        chunks: chunks of the new generation; of the present one unless it is done.
        embedded: texts that the model read in this run.
        reused: texts whose vectors were taken from the present generation.
        chosen: store and index that it would get, with the reason, as far as can be told from the
            chunks of now; of a dry run only.
        seconds: what the run took.
        model_seconds: of these, spent in the model.
        needed_bytes: about how much it adds to the disk; of a dry run only.
        notes: further sentences for the user.
    """

    outcome: Outcome
    plan: ReindexPlan
    before: GenerationRecord
    after: GenerationRecord | None
    documents: int
    chunks: int
    embedded: int = 0
    reused: int = 0
    chosen: GenerationRecord | None = None
    seconds: float = 0.0
    model_seconds: float = 0.0
    needed_bytes: int = 0
    notes: tuple[str, ...] = ()
