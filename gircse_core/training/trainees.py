"""What the training loop asks of a model that is being trained, whatever its family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch

from gircse_core.config import ModelConfig
from gircse_core.registry import ModelSpec
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.teacher import TokenStatistics

__all__ = ["Trainee", "load_trainee"]


class Trainee(Protocol):
    """A model with trainable tensors."""

    @property
    def config(self) -> ModelConfig:
        """Its conventions, as the finished model will have them."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    @property
    def tensors(self) -> Mapping[str, torch.Tensor]:
        """The trainable tensors: float32 leaves by name, the same objects throughout.

        Names with ``.lora_`` are low-rank adapters.
        """

    @property
    def fixed(self) -> dict[str, torch.Tensor]:
        """Further tensors of the finished model, which training does not change."""

    @property
    def vocabulary_size(self) -> int:
        """V, which token ids are below."""

    @property
    def special_tokens(self) -> frozenset[int]:
        """Ids of the tokens that are no words, such as those that open and close a sequence."""

    def tokens(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each prompt, cut at the training's limit."""

    def encode(
        self, rows: Sequence[Sequence[int]], *, steps: int, queries: int = 0
    ) -> torch.Tensor:
        """Return (S, N, D) unit vectors of N token rows with their graph.

        The first ``queries`` rows are queries, the others documents. S counts the steps from the
        model's smallest (0 where it is defined) to ``steps``; the vector of step 0 needs no
        gradient.
        """

    def base_embeddings(self, rows: Sequence[Sequence[int]], *, steps: int) -> torch.Tensor:
        """Return (N, D) what the base without adapters makes of N token rows, without a graph."""

    def set_anchor(
        self, statistics: TokenStatistics, sample: Sequence[Sequence[int]], config: TrainingConfig
    ) -> None:
        """Prepare the anchors of ``encode_anchored`` from the training texts and a sample of them.

        Raises:
            TrainingInputError: the model has no vector of its own to refine from.
        """

    def start_reading(
        self, statistics: TokenStatistics, sample: Sequence[Sequence[int]], config: TrainingConfig
    ) -> None:
        """Let soft tokens read the prompt after their last layer, from the anchor's weights on.

        Raises:
            TrainingInputError: the family knows no such thing, or its pooling does not fit.
        """

    def encode_anchored(
        self, rows: Sequence[Sequence[int]], *, steps: int, queries: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what ``encode`` does, and (N, D) where refinement should take each text."""

    def restrict_head(self, frequencies: torch.Tensor, *, words: int) -> None:
        """Make soft tokens of so many words; ``frequencies`` are (V,) shares of the texts.

        Raises:
            TrainingInputError: the family knows no such thing, or there are too few words.
        """

    def export(self, folder: Path, tensors: Mapping[str, torch.Tensor], *, half: bool) -> None:
        """Write the model that these values of ``tensors`` make into an existing folder.

        Args:
            folder: for the files that ``registry.resolve`` recognises.
            tensors: all or some of the trainable tensors by name, on any device.
            half: store float16 instead of float32.
        """


def load_trainee(spec: ModelSpec, config: TrainingConfig, *, device: str | None) -> Trainee:
    """Load a model for training.

    Args:
        spec: where training starts.
        config: resolved for the model's family.
        device: torch's name for one; None chooses.

    Raises:
        ModelIntegrityError: files are missing or damaged.
        TrainingInputError: an option does not fit the model.
    """
    if spec.config.family == "prefix_encoder":
        from gircse_core.training.prefix_trainee import PrefixTrainee

        return PrefixTrainee(spec, config, device=device)
    from gircse_core.training.causal_trainee import CausalTrainee

    return CausalTrainee(spec, config, device=device)
