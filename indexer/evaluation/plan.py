"""What is to be measured, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from indexer.embedder import ModelInfo
from indexer.errors import UsageError
from indexer.evaluation.results import Baseline
from indexer.searching.results import MODES, Mode

__all__ = ["BASELINES", "DEFAULT_STEPS", "EvaluationPlan", "asks_model", "steps_of_model"]

BASELINES: tuple[Baseline, ...] = ("mean", "last", "prompt", "rocchio", "maxsim", "bm25")
DEFAULT_STEPS = (0, 1, 2, 3, 5, 8, 12, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """What is measured on every set.

    Args:
        steps: refinement steps of the queries, rising; empty where no model is asked.
        document_steps: refinement steps of the documents; None for the same as the queries'.
        modes: ways of searching.
        baselines: what to compare with; ``bm25`` is the mode ``lexical`` by another name.
        matrix: whether every pairing of step counts is measured.
        chunked: whether documents are cut as indexing cuts them, instead of taken whole.

    Raises:
        UsageError: a value is out of its range.
    """

    steps: tuple[int, ...] = ()
    document_steps: int | None = None
    modes: tuple[Mode, ...] = MODES
    baselines: tuple[Baseline, ...] = ()
    matrix: bool = False
    chunked: bool = False

    def __post_init__(self) -> None:
        for name, values, known in (
            ("mode", self.modes, MODES),
            ("baseline", self.baselines, BASELINES),
        ):
            unknown = sorted(set(values) - set(known))
            if unknown:
                raise UsageError(f"no {name} {unknown[0]!r}; choose from {', '.join(known)}")
        if not self.modes and not self.baselines:
            raise UsageError("nothing to measure: give a mode or a baseline")
        if list(self.steps) != sorted(set(self.steps)):
            raise UsageError(f"steps {list(self.steps)} must rise, each of them once")
        if self.asks_model and not self.steps:
            raise UsageError("no step count to measure at; give --steps 0, for example")
        if self.matrix and len(self.steps) < 2:
            raise UsageError("a matrix of step counts needs at least two of them in --steps")

    def as_dict(self) -> dict[str, object]:
        """Return the plan by name."""
        return asdict(self)

    @property
    def is_lexical(self) -> bool:
        """Whether words alone are searched in some run."""
        return "lexical" in self.modes or "bm25" in self.baselines

    def document_steps_for(self, steps: int) -> int:
        """Return the documents' step count where the queries have ``steps``."""
        return steps if self.document_steps is None else self.document_steps

    @property
    def asks_model(self) -> bool:
        """Whether any run needs a model."""
        return asks_model(self.modes, self.baselines, matrix=self.matrix)


def asks_model(modes: Sequence[Mode], baselines: Sequence[Baseline], *, matrix: bool) -> bool:
    """Return whether any run over a judged set needs a model."""
    return matrix or bool({*modes, *baselines} - {"lexical", "bm25"})


def steps_of_model(
    asked: Sequence[int] | None, info: ModelInfo, *, document_steps: int | None = None
) -> tuple[int, ...]:
    """Return the step counts to measure at, rising.

    Args:
        asked: those asked for; None takes those of ``DEFAULT_STEPS`` that the model defines.
        info: the model.
        document_steps: checked as well, where given.

    Raises:
        UsageError: the model does not define one of them.
    """
    low, high = info.min_steps, info.max_steps
    if asked is None:
        chosen = [step for step in DEFAULT_STEPS if low <= step <= high]
    else:
        chosen = sorted(set(asked))
    for step in [*chosen, *([] if document_steps is None else [document_steps])]:
        if not low <= step <= high:
            defined = f"from {low} to {high} steps" if low < high else f"{low} steps only"
            raise UsageError(f"{step} steps asked for; {info.name} defines {defined}")
    return tuple(chosen)
