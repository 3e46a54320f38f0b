"""What decides a collection's vectors, and how two such sets of decisions differ.

Knows no model: it compares the values that one states about itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FORMAT_VERSION", "Fingerprint"]

FORMAT_VERSION = 1
"""How chunks and vectors are stored; raised when older programs would misread them."""

_RECORDED_ONLY = frozenset({"dtype", "device", "model"})
"""Not compared: vectors agree to a cosine of 0.999 across float types and devices, and a model has
as many names as it has folders."""

_REFINEMENT_ONLY = frozenset(
    {"adapter", "pooling", "gate", "decay", "logit_scale", "coverage", "softmax_temperature"}
)
"""Not compared where documents have no refinement steps: a model whose refinement is trained anew
gives them the same vectors."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """All that must be equal for two vectors to be comparable.

    Args:
        model: what the model states of itself: weights, adapter, pooling, instruction, limits.
        steps: refinement steps of every document.
        chunking: how documents are cut, as ``ChunkingConfig.as_dict()`` gives it.
        format_version: how the collection is stored.
    """

    model: Mapping[str, str]
    steps: int
    chunking: Mapping[str, int]
    format_version: int = FORMAT_VERSION

    def differences(self, other: Fingerprint) -> list[str]:
        """Return one line for each value that differs, this one's first; none when they agree."""
        refined = self.steps > 0 or other.steps > 0
        mine, theirs = self._compared(refined=refined), other._compared(refined=refined)
        return [
            f"{name}: {mine.get(name, 'absent')} / {theirs.get(name, 'absent')}"
            for name in [*mine, *(name for name in theirs if name not in mine)]
            if mine.get(name) != theirs.get(name)
        ]

    def _compared(self, *, refined: bool) -> dict[str, str | int]:
        ignored = _RECORDED_ONLY | (frozenset() if refined else _REFINEMENT_ONLY)
        return {
            **{name: value for name, value in self.model.items() if name not in ignored},
            "steps": self.steps,
            **{f"chunking.{name}": value for name, value in self.chunking.items()},
            "format_version": self.format_version,
        }

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "model": dict(self.model),
            "steps": self.steps,
            "chunking": dict(self.chunking),
            "format_version": self.format_version,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Fingerprint:
        """Return the fingerprint that ``as_dict`` wrote.

        Raises:
            ValueError: a value is absent or of another type.
        """
        model, chunking = values.get("model"), values.get("chunking")
        steps, format_version = values.get("steps"), values.get("format_version")
        if not isinstance(model, Mapping) or not isinstance(chunking, Mapping):
            raise ValueError("'model' and 'chunking' must be objects")
        if not isinstance(steps, int) or not isinstance(format_version, int):
            raise ValueError("'steps' and 'format_version' must be whole numbers")
        if not all(isinstance(value, int) for value in chunking.values()):
            raise ValueError("every value of 'chunking' must be a whole number")
        return cls(
            model={str(name): str(value) for name, value in model.items()},
            steps=steps,
            chunking={str(name): int(value) for name, value in chunking.items()},
            format_version=format_version,
        )
