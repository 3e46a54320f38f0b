"""One request on its way through a collection: refined, looked for, looked for again.

Knows when to look and when to stop; what a look does is told by ``indexer.searching.looking``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.errors import UsageError
from indexer.searching.clock import SearchClock
from indexer.searching.looking import Look, Looking
from indexer.searching.refining import CONVERGED, MOST_STEPS, Pace, Stability, Stop
from indexer.searching.results import SearchRequest, SearchResult
from indexer.stores.base import VectorStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.collections.fingerprint import Fingerprint
    from indexer.collections.search_defaults import SearchDefaults
    from indexer.embedder import Embedder, ModelInfo

__all__ = ["QueryRun"]


class QueryRun:
    """One request; run once.

    Args:
        store: the collection's store.
        embedder: loads the model, or returns the loaded one; None allows lexical search only.
        fingerprint: what decided the collection's vectors.
        request: what is asked.
        defaults: what the collection chose for requests that say nothing.
        clock: seconds, for timings and budgets.
    """

    def __init__(
        self,
        store: VectorStore,
        embedder: Callable[[], Embedder] | None,
        fingerprint: Fingerprint,
        request: SearchRequest,
        *,
        defaults: SearchDefaults,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._fingerprint = fingerprint
        self._request = request
        self._defaults = defaults
        self._clock = SearchClock(clock)
        self._looking = Looking(store, request, defaults, self._clock)
        self._feedback: _Feedback | None = None
        self._steps_ms: list[float] = []
        self._paused_s = 0.0

    def result(self) -> SearchResult:
        """Return what the last step finds, without looking before."""
        if not self._is_refined:
            return self._only_look()
        self._read_feedback()
        embedder, steps = self._load()
        *_, (vector, _) = self._refinements(embedder, steps)
        return self._result(self._looking.look(vector), steps)

    def results(self) -> Generator[SearchResult]:
        """Yield what the steps find; the last one says why it is the last."""
        if not self._is_refined:
            yield self._only_look()
            return
        self._read_feedback()
        embedder, last_step = self._load()
        first_step = embedder.info.min_steps
        began = self._clock.now()
        pace, stability = Pace(self._budget_s), Stability()
        with closing(self._refinements(embedder, last_step)) as refinements:
            for step, (vector, turn) in enumerate(refinements, start=first_step):
                pace.note_step(self._steps_ms[-1] / 1000.0)
                is_last = step == last_step or self._has_converged(turn)
                goes_on = not is_last and pace.has_time(self._clock.now() - began)
                if goes_on and step > first_step and not self._may_look(pace, began):
                    continue
                look_began = self._clock.now()
                look = self._looking.look(vector)
                pace.note_look(self._clock.now() - look_began)
                stability.note(step, look.ranking)
                stopped: Stop | None = None
                if step == last_step:
                    stopped = "steps"
                elif self._request.until_stable and stability.is_stable(step):
                    stopped = "stable"
                elif self._has_converged(turn):
                    stopped = "converged"
                elif not pace.has_time(self._clock.now() - began):
                    stopped = "budget"
                yielded = self._clock.now()
                progress = stability.progress(step, stopped)
                yield replace(self._result(look, step), progress=progress)
                self._paused_s += self._clock.now() - yielded
                if stopped is not None:
                    return

    @property
    def _is_refined(self) -> bool:
        return self._request.mode != "lexical" and bool(self._request.text.strip())

    @property
    def _budget_s(self) -> float | None:
        budget_ms = self._request.budget_ms
        return None if budget_ms is None else budget_ms / 1000.0

    def _may_look(self, pace: Pace, began: float) -> bool:
        """Return whether to look although a later look is going to be the answer."""
        return pace.is_worth_a_look() and pace.has_time(self._clock.now() - began, looks=2)

    def _has_converged(self, turn: float) -> bool:
        return self._request.until_stable and turn < CONVERGED

    def _only_look(self) -> SearchResult:
        if self._request.mode == "lexical":
            return self._result(self._looking.look(None), None)
        self._read_feedback()
        assert self._feedback is not None
        return self._result(self._looking.look(self._feedback.moved(None)), None)

    def _result(self, look: Look, steps: int | None) -> SearchResult:
        return SearchResult(
            request=self._request,
            steps=steps,
            dense_weight=look.dense_weight,
            hits=look.hits,
            total_chunks=len(self._store),
            timings_ms=self._clock.milliseconds(paused_s=self._paused_s),
            steps_ms=tuple(self._steps_ms),
            fingerprint=self._fingerprint.as_dict(),
            looks=self._looking.looks,
        )

    def _load(self) -> tuple[Embedder, int]:
        """Return the model with the most steps to take."""
        request = self._request
        if self._embedder is None:
            raise UsageError(f"a {request.mode} search needs a model; only lexical search does not")
        with self._clock.part("load"):
            embedder = self._embedder()
        info = embedder.info
        steps = request.steps
        if steps is None and request.chooses_steps:
            return embedder, min(info.max_steps, max(MOST_STEPS, info.min_steps))
        if steps is None:
            steps = info.default_steps if self._defaults.steps is None else self._defaults.steps
        _check_steps(info, steps)
        return embedder, steps

    def _refinements(
        self, embedder: Embedder, steps: int
    ) -> Generator[tuple[NDArray[np.float32], float]]:
        """Yield each step's vector after feedback, and how far the step turned the query."""
        # No tokenizer takes the lone surrogates that a terminal passes on.
        text = self._request.words.text.encode("utf-8", "replace").decode("utf-8")
        refinements = iter(embedder.refine(text, max_steps=steps))
        before: NDArray[np.float32] | None = None
        while True:
            with self._clock.part("embed"):
                refinement = next(refinements, None)
                if refinement is None:
                    return
                vector = refinement.vector
            self._steps_ms.append(1000.0 * refinement.seconds)
            turn = 1.0 if before is None else 1.0 - float(vector @ before)
            before = vector
            moved = vector if self._feedback is None else self._feedback.moved(vector)
            yield moved, turn

    def _read_feedback(self) -> None:
        """Fetch the vectors of the passages that the query is moved by."""
        request = self._request
        if not request.like and not request.unlike:
            return
        with self._clock.part("feedback"):
            vectors = self._store.vectors([*request.like, *request.unlike])
        liked = [vectors[one] for one in request.like if one in vectors]
        disliked = [vectors[one] for one in request.unlike if one in vectors]
        if not liked and not request.text.strip():
            raise UsageError(
                "the passage to find more of is not in the collection any more; its document was "
                "changed or removed. Search for it again"
            )
        if liked or disliked:
            self._feedback = _Feedback(liked, disliked)


class _Feedback:
    """Vectors that move a query's; see ``indexer.searching.rocchio``."""

    def __init__(
        self, liked: list[NDArray[np.float32]], disliked: list[NDArray[np.float32]]
    ) -> None:
        self._liked, self._disliked = liked, disliked

    def moved(self, vector: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return a query's (D,) vector after the move, or one made of the passages alone."""
        import numpy as np

        from indexer.searching.rocchio import moved

        liked = np.stack(self._liked) if self._liked else None
        disliked = np.stack(self._disliked) if self._disliked else None
        return moved(vector, liked, disliked)


def _check_steps(info: ModelInfo, steps: int) -> None:
    if info.min_steps <= steps <= info.max_steps:
        return
    allowed = (
        f"from {info.min_steps} to {info.max_steps} steps"
        if info.min_steps < info.max_steps
        else f"{info.min_steps} steps only"
    )
    raise UsageError(f"{steps} steps asked for; {info.name} defines {allowed}")
