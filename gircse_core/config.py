"""What a model is, as data: everything that decides its vectors, readable without torch.

Stored as ``gircse.json`` beside the adapter of a model of ours; built from presets and defaults for
published adapters and plain checkpoints.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from gircse_core.errors import ModelIntegrityError

__all__ = [
    "CONFIG_FILE",
    "MAX_STEPS",
    "RESIDUAL_POOLINGS",
    "RETRIEVAL_TASK",
    "Family",
    "ModelConfig",
    "PoolingName",
]

CONFIG_FILE = "gircse.json"
MAX_STEPS = 64
_LARGEST = 1e6
RETRIEVAL_TASK = "Given a web search query, retrieve relevant passages that answer the query"

Family = Literal["causal", "prefix_encoder"]
PoolingName = Literal["generate_mean", "last", "residual_mean", "residual_sum"]
RESIDUAL_POOLINGS: frozenset[PoolingName] = frozenset({"residual_mean", "residual_sum"})
"""Those that start from the encoder's own vector, so that K = 0 is defined."""
PaddingSide = Literal["left", "right"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The conventions of one model.

    Args:
        family: ``causal`` for any causal language model of transformers, ``prefix_encoder`` for a
            BERT encoder run as a prefix language model.
        pooling: how the states g_1..g_k become z_k; the residual ones define K = 0.
        max_length: tokens per text, special tokens and prompt included; more are cut.
        padding_side: where batches are padded; vectors do not depend on it beyond rounding.
        add_special_tokens: whether the tokenizer's own special tokens are added.
        add_eos: whether the end-of-sequence token is appended.
        query_template: text of a query, with ``{task}`` and ``{text}``.
        document_template: text of a document, with ``{text}`` and, for symmetric tasks, ``{task}``.
        task: the instruction; None leaves queries as raw as documents.
        softmax_temperature: tau of the soft token, above 0.
        default_steps: K when the caller names none.
        trained_steps: K in training; 0 where no refinement has been trained.
        gate: weight of the mean soft-token state in ``residual_mean``, of the first in
            ``residual_sum``.
        decay: factor from one state's weight to the next one's in ``residual_sum``, 0 to below 1.
        logit_scale: sharpness of the prefix encoder's tied head.
        coverage: how strongly the prefix encoder's head avoids what it has said already; 0 is off.
    """

    family: Family
    pooling: PoolingName
    max_length: int = 512
    padding_side: PaddingSide = "left"
    add_special_tokens: bool = False
    add_eos: bool = False
    query_template: str = "Instruct: {task}\nQuery:{text}"
    document_template: str = "{text}"
    task: str | None = RETRIEVAL_TASK
    softmax_temperature: float = 1.0
    default_steps: int = 5
    trained_steps: int = 5
    gate: float = 0.3
    decay: float = 0.8
    logit_scale: float = 10.0
    coverage: float = 1.0

    def __post_init__(self) -> None:
        _require(self.family in get_args(Family), "family", self.family, get_args(Family))
        _require(
            self.pooling in get_args(PoolingName), "pooling", self.pooling, get_args(PoolingName)
        )
        _require(
            self.padding_side in get_args(PaddingSide),
            "padding_side",
            self.padding_side,
            get_args(PaddingSide),
        )
        fits = (self.pooling in RESIDUAL_POOLINGS) == (self.family == "prefix_encoder")
        _require(
            fits, "pooling", self.pooling, "residual ones for prefix_encoder, others for causal"
        )
        for name in ("gate", "softmax_temperature", "logit_scale", "coverage"):
            value = getattr(self, name)  # false for what JSON may hold as NaN or Infinity
            _require(abs(value) <= _LARGEST, name, value, f"up to {_LARGEST:g}")
        _require(0 <= self.decay < 1, "decay", self.decay, "0 to below 1")
        _require("{text}" in self.query_template, "query_template", self.query_template, "{text}")
        _require(
            "{text}" in self.document_template,
            "document_template",
            self.document_template,
            "{text}",
        )
        _require(8 <= self.max_length <= 32768, "max_length", self.max_length, "8 to 32768")
        _require(
            self.softmax_temperature > 0, "softmax_temperature", self.softmax_temperature, "> 0"
        )
        _require(self.logit_scale > 0, "logit_scale", self.logit_scale, "> 0")
        _require(self.coverage >= 0, "coverage", self.coverage, ">= 0")
        allowed = f"{self.min_steps} to {self.max_steps}"
        _require(0 <= self.trained_steps <= MAX_STEPS, "trained_steps", self.trained_steps, "0-64")
        _require(
            self.min_steps <= self.default_steps <= self.max_steps,
            "default_steps",
            self.default_steps,
            allowed,
        )

    @property
    def min_steps(self) -> int:
        """Smallest K that the model defines: 0 only where the backbone has a vector of its own."""
        return 0 if self.pooling in RESIDUAL_POOLINGS else 1

    @property
    def max_steps(self) -> int:
        """Largest K offered; a prefix encoder without a trained adapter has K = 0 alone."""
        untrained = self.family == "prefix_encoder" and self.trained_steps == 0
        return 0 if untrained else MAX_STEPS

    def save(self, folder: Path) -> None:
        """Write ``gircse.json`` into an existing folder."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, origin: str) -> ModelConfig:
        """Build a config from parsed JSON.

        Raises:
            ModelIntegrityError: a key is unknown, missing or of the wrong type.
        """
        known = {field.name: field for field in fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ModelIntegrityError(
                f"{origin} has the unknown keys {unknown}; known are {sorted(known)}. "
                "It may have been written by a newer version: update gircse-search."
            )
        _check_types(values, origin)
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelIntegrityError(f"{origin} is incomplete: {error}.") from error


def _check_types(values: dict[str, Any], origin: str) -> None:
    for name, value in values.items():
        kind = ModelConfig.__annotations__[name]
        expected: tuple[type, ...] = {
            "int": (int,),
            "float": (int, float),
            "bool": (bool,),
            "str | None": (str, type(None)),
        }.get(kind, (str,))
        wrong_bool = isinstance(value, bool) and bool not in expected
        if wrong_bool or not isinstance(value, expected):
            raise ModelIntegrityError(f"{origin}: {name} must be {kind}, but is {value!r}.")


def _require(condition: bool, name: str, value: object, allowed: object) -> None:
    if not condition:
        raise ModelIntegrityError(f"{name} is {value!r}; allowed: {allowed}.")
