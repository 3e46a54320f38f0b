"""What a reader of the figures should know: how each was got, in a sentence."""

from __future__ import annotations

from indexer.evaluation.feedback import FEEDBACK_PASSAGES, FEEDBACK_WEIGHT
from indexer.evaluation.latency import SAMPLE
from indexer.evaluation.plan import EvaluationPlan
from indexer.evaluation.significance import RESAMPLES
from indexer.searching.results import SearchRequest

__all__ = ["notes"]


def notes(plan: EvaluationPlan, *, has_sets: bool, has_pairs: bool) -> tuple[str, ...]:
    """Return a sentence for everything that the plan has measured.

    Args:
        plan: what was measured.
        has_sets: whether there were judged sets.
        has_pairs: whether there were sentence pairs.
    """
    found = [
        f"Intervals: 95 %, {RESAMPLES:,} bootstrap samples of the queries (or pairs), fixed seed."
    ]
    if has_sets:
        found += _of_sets(plan)
    if has_pairs:
        found.append("Spearman: of the cosines with the scores; both sentences as queries.")
    return tuple(found)


def _of_sets(plan: EvaluationPlan) -> list[str]:
    found = [
        "change, p: against the fewest steps of the same method, else of dense; p by a paired "
        "t-test over the queries.",
        f"ms/query: median of up to {SAMPLE} queries, each asked alone, from its text to the "
        "ranking. texts/s: documents embedded per second.",
        "Documents are cut as indexing cuts them; one counts by its best passage."
        if plan.chunked
        else "Documents are one passage each: what is beyond the model's limit is not read.",
    ]
    if plan.is_lexical:
        found.append("lexical: BM25 of the program's own search for words.")
    if "hybrid" in plan.modes:
        candidates = SearchRequest("any").candidates
        found.append(
            f"hybrid: the best {candidates} of each leg, fused by the program's default settings."
        )
    return found + [_BASELINES[name] for name in plan.baselines if name in _BASELINES]


_BASELINES = {
    "mean": "mean: a single pass, mean of the tokens (an encoder's own pooling is its step 0).",
    "last": "last: a single pass, state of the last token ([SEP] of an encoder).",
    "prompt": "prompt: a single pass, state at the end of a prompt for the meaning in one word "
    "([MASK] of an encoder).",
    "rocchio": f"rocchio: the fewest steps; q + {FEEDBACK_WEIGHT} x the mean of its "
    f"{FEEDBACK_PASSAGES} closest passages, asked again.",
    "maxsim": "maxsim: the fewest steps; a passage scores as its closest sentence does, each "
    "embedded apart; its own vector takes no part.",
}
