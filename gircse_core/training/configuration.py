"""Every choice of a training run, as data; readable without torch.

Saved with each checkpoint and in the model card: the same configuration on the same data and
machine repeats the run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from gircse_core.config import Family, ModelConfig
from gircse_core.errors import GircseError, TrainingInputError

__all__ = ["Schedule", "TeacherName", "TrainingConfig", "trained_conventions"]

Schedule = Literal["linear", "cosine", "constant"]
TeacherName = Literal["base", "hybrid"]
Readout = Literal["none", "identity", "zero"]
BaseType = Literal["float32", "bfloat16"]

# What the two kinds of trainee want where a run says nothing. The causal column is published
# (Tsai et al., arXiv:2509.24291); the other was found for the small encoder.
_FAMILY_DEFAULTS: dict[Family, dict[str, Any]] = {
    "causal": {
        "batch_size": 16,
        "learning_rate": 1e-5,
        "schedule": "linear",
        "warmup": 0.03,
        "rank": 16,
        "alpha": 64.0,
        "dropout": 0.1,
        "temperature": 0.02,
        "symmetric": False,
        "max_length": 512,
    },
    "prefix_encoder": {
        "batch_size": 64,
        "learning_rate": 5e-4,
        "schedule": "cosine",
        "warmup": 0.05,
        "rank": 32,
        "alpha": 32.0,
        "dropout": 0.0,
        "temperature": 0.03,
        "symmetric": True,
        "max_length": 128,
    },
}

# (fields, lowest, highest value or None)
_RANGES: tuple[tuple[tuple[str, ...], float, float | None], ...] = (
    (("steps", "anchor_steps"), 1, 64),
    (("updates", "accumulation", "batch_size", "block_size", "rank"), 1, None),
    (("checkpoint_every", "keep_checkpoints"), 1, None),
    (("max_length",), 8, None),
    (("forward_tokens",), 64, None),
    (("seed",), 0, 2**31),
    (("hard_negatives", "source_cap", "cross_step_pairs", "head_words", "anchor_length"), 0, None),
    (("other_rate", "weight_decay", "clip_norm", "source_exponent"), 0, None),
    (("regulariser_weight", "cross_step_weight", "distillation_weight"), 0, None),
    (("anchor_weight", "anchor_rare", "anchor_lexical"), 0, None),
    (("warmup", "teacher_dense_weight", "anchor_whitening"), 0, 1),
    (("dropout", "average_decay"), 0, 0.99999),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One training run. A value of None takes the default of the model's family.

    Args:
        model: where training starts: a name, a folder or a hub id.
        steps: K, refinement steps in training.
        updates: optimiser steps.
        seed: decides initial weights, batches and dropout.
        device: torch's name for one; None chooses.
        dtype: type of the frozen base; what is trained is float32. None takes what is fast here.
        max_length: tokens per text in training, special tokens and prompt included.
        forward_tokens: padded tokens that are read in one piece; longer batches go in several.
        batch_size: pairs per batch, all of one source; the in-batch negatives.
        block_size: consecutive lines of a file that stay together in a batch: neighbours often
            come from one document and are its hard negatives.
        accumulation: batches per update on each device.
        hard_negatives: passages of a pair's ``neg`` that join its batch.
        leave_out: sources (``tldr_pages``), tags (``#lead``) or both (``digitalgov#lead``).
        source_weights: (source, factor) on how often it is drawn.
        source_exponent: a source is drawn in proportion to its size to this power.
        source_cap: sizes above it count as this; 0 caps none.
        learning_rate: of the low-rank adapters, after warm-up.
        other_rate: factor on it for every other trained tensor.
        weight_decay: of AdamW.
        clip_norm: limit of the gradient's norm; 0 clips nothing.
        schedule: how the learning rate falls after warm-up.
        warmup: share of the updates in which it rises.
        average_decay: of the exponential moving average of the weights, which is what is exported;
            0 keeps no average.
        conventions: (name, value) of the model's own configuration to set for this run and its
            result, such as ("gate", 0.2).
        rank: r of new low-rank adapters; those that the start already has keep theirs.
        alpha: their updates are scaled by alpha / r.
        dropout: on the input of the low-rank adapters; causal models only.
        step_embeddings: train a vector for each step that is added to its soft token; prefix
            encoders only, as the four below.
        query_embedding: train a vector that is added to the soft tokens of queries, so that they
            are refined otherwise than documents.
        readout: train a map of the soft tokens' states before they are pooled: ``identity`` and
            ``zero`` say what it starts as (with zero, every step starts as step 0).
        reading: let soft tokens read the prompt again after their last layer, starting where the
            anchor's weights would take each text (``anchor_rare``, ``anchor_lexical``,
            ``anchor_length``, ``anchor_steps``). Needs the pooling ``residual_sum``.
        head_words: make soft tokens of that many words, the most frequent content words of the
            training texts, instead of the whole vocabulary; 0 for the whole.
        temperature: of the similarities in InfoNCE.
        symmetric: whether passages are also asked for their queries.
        regulariser_weight: lambda of the refinement regulariser.
        regularise_start: whether step 1 may not be worse than step 0, where that exists.
        cross_step_weight: weight of pairs at different steps.
        cross_step_pairs: how many such pairs an update draws; 0 takes all.
        cross_step_zero: whether step 0 is among them, where it exists.
        stagewise: each step's gradient sees the states before it detached, so that it learns to
            mend what they get wrong.
        distillation_weight: weight of keeping a teacher's similarities.
        distillation_temperature: softens both sides of the distillation.
        teacher: ``base``, the model's own similarities before refinement, or ``hybrid``, those
            mixed with lexical scores.
        teacher_dense_weight: share of the similarities in the hybrid teacher.
        anchor_weight: weight of refining towards what tells a text apart; see ``anchor``. Needs a
            prefix encoder and the pooling ``residual_sum``.
        anchor_rare: weight of rare tokens' states in the anchor.
        anchor_lexical: weight of rare tokens' input embeddings in it.
        anchor_length: tokens from which on a document is moved by both weights in full, a shorter
            one in proportion; 0 moves all alike. Queries always are moved in full.
        anchor_whitening: how far the anchors are whitened; 0 not at all, 1 completely.
        anchor_steps: the step that is to have arrived there.
        checkpoint_every: updates between checkpoints.
        keep_checkpoints: how many of the latest are kept.
    """

    model: str = "gircse-minilm"
    steps: int = 5
    updates: int = 300
    seed: int = 0
    device: str | None = None
    dtype: BaseType | None = None

    max_length: int | None = None
    forward_tokens: int = 4096
    batch_size: int | None = None
    block_size: int = 8
    accumulation: int = 1
    hard_negatives: int = 1
    leave_out: tuple[str, ...] = ()
    source_weights: tuple[tuple[str, float], ...] = ()
    source_exponent: float = 0.7
    source_cap: int = 0

    learning_rate: float | None = None
    other_rate: float = 1.0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    schedule: Schedule | None = None
    warmup: float | None = None
    average_decay: float = 0.0

    conventions: tuple[tuple[str, Any], ...] = ()
    rank: int | None = None
    alpha: float | None = None
    dropout: float | None = None
    step_embeddings: bool = False
    query_embedding: bool = False
    readout: Readout = "none"
    reading: bool = False
    head_words: int = 0

    temperature: float | None = None
    symmetric: bool | None = None
    regulariser_weight: float = 1.0
    regularise_start: bool = False
    cross_step_weight: float = 0.0
    cross_step_pairs: int = 0
    cross_step_zero: bool = False
    stagewise: bool = False
    distillation_weight: float = 0.0
    distillation_temperature: float = 0.05
    teacher: TeacherName = "base"
    teacher_dense_weight: float = 0.65
    anchor_weight: float = 0.0
    anchor_rare: float = 0.4
    anchor_lexical: float = 0.3
    anchor_length: int = 0
    anchor_whitening: float = 0.0
    anchor_steps: int = 8

    checkpoint_every: int = 100
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        for names, low, high in _RANGES:
            for name in names:
                self._check_range(name, low, high)
        for name in ("learning_rate", "temperature", "distillation_temperature", "alpha"):
            self._check_above_zero(name)
        self._check_choice("schedule", get_args(Schedule))
        self._check_choice("readout", get_args(Readout))
        self._check_choice("teacher", get_args(TeacherName))
        self._check_choice("dtype", get_args(BaseType))
        for source, weight in self.source_weights:
            if not weight >= 0:
                raise TrainingInputError(
                    f"The weight of the source {source!r} is {weight}; it must not be negative."
                )

    def resolved(self, family: Family) -> TrainingConfig:
        """Return a copy in which the family's defaults stand where nothing was chosen."""
        defaults = _FAMILY_DEFAULTS[family]
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return replace(self, **missing)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON would hold it."""
        values = asdict(self)
        values["leave_out"] = list(self.leave_out)
        for name in ("source_weights", "conventions"):
            values[name] = [list(pair) for pair in values[name]]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, origin: str) -> TrainingConfig:
        """Build it from ``as_dict``.

        Raises:
            TrainingInputError: a key is unknown or a value out of range.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise TrainingInputError(
                f"{origin} has the unknown keys {unknown}. It may have been written by a newer "
                "version: update gircse-search."
            )
        plain = dict(values)
        plain["leave_out"] = tuple(values.get("leave_out", ()))
        for name in ("source_weights", "conventions"):
            plain[name] = tuple((key, value) for key, value in values.get(name, ()))
        return cls(**plain)

    def differences(self, other: TrainingConfig) -> list[str]:
        """Return what would make the other run another one, as ``name: ours, theirs``."""
        harmless = {"checkpoint_every", "keep_checkpoints", "device"}
        return [
            f"{field.name}: {getattr(self, field.name)!r}, {getattr(other, field.name)!r}"
            for field in fields(self)
            if field.name not in harmless
            and getattr(self, field.name) != getattr(other, field.name)
        ]

    def _check_range(self, name: str, low: float, high: float | None = None) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if not (value >= low and (high is None or value <= high)):
            allowed = f"at least {low}" if high is None else f"{low} to {high}"
            raise TrainingInputError(f"{name} is {value}; it must be {allowed}.")

    def _check_above_zero(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not value > 0:
            raise TrainingInputError(f"{name} is {value}; it must be above 0.")

    def _check_choice(self, name: str, allowed: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value is not None and value not in allowed:
            raise TrainingInputError(f"{name} is {value!r}; choose one of {list(allowed)}.")


def trained_conventions(start: ModelConfig, config: TrainingConfig) -> ModelConfig:
    """Return the conventions of the model that a run makes.

    Raises:
        TrainingInputError: a convention is unknown or its value impossible.
    """
    chosen: dict[str, Any] = dict(config.conventions)
    chosen.setdefault("default_steps", config.steps)
    chosen["trained_steps"] = config.steps
    try:
        # As if read from JSON, so that a value of the wrong type is named as such.
        return ModelConfig.from_dict(asdict(start) | chosen, origin="the training's conventions")
    except GircseError as error:
        raise TrainingInputError(str(error)) from error
