"""A causal language model in training: low-rank adapters by peft, prompt and soft tokens alike.

The cache keeps its graph, which gives the gradients of the published full recomputation for a
fraction of the work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from torch import nn

from gircse_core.backbones.causal import CausalBackbone, load_adapter
from gircse_core.devices import place
from gircse_core.errors import TrainingInputError
from gircse_core.registry import ModelSpec
from gircse_core.tokenization import TextTokenizer, TokenBatch
from gircse_core.training.configuration import TrainingConfig, trained_conventions
from gircse_core.training.export import base_name
from gircse_core.training.rollout import rollout
from gircse_core.training.teacher import TokenStatistics
from gircse_core.training.token_groups import run_in_groups

__all__ = ["CausalTrainee"]

# Published: all projections of attention and feed-forward. Source: arXiv:2509.24291.
_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_WEIGHTS = "adapter_model.safetensors"


class CausalTrainee:
    """A causal language model whose LoRA adapter is being trained.

    Args:
        spec: where training starts; an adapter of its own is trained further.
        config: resolved.
        device: torch's name for one; None chooses.

    Raises:
        ModelIntegrityError: files are missing or damaged.
        UnsupportedModelError: the architecture cannot be run faithfully.
        TrainingInputError: it has none of the layers that are to be adapted.
    """

    def __init__(
        self, spec: ModelSpec, config: TrainingConfig, *, device: str | None = None
    ) -> None:
        assert config.max_length is not None  # resolved
        _check_options(config)
        self._spec = spec
        self._training = config
        self.config = trained_conventions(spec.config, config)
        placement = place("causal", device=device, dtype=config.dtype)
        base = CausalBackbone.load(
            self.config, spec.base, device=placement.device, dtype=placement.document_dtype
        )
        torch.manual_seed(config.seed)  # peft draws the initial weights
        self._peft: Any = _with_adapter(base.model, spec, config)
        # The same modules, now with adapters inside; peft's own wrapper is for saving.
        self._backbone = CausalBackbone(self._peft.get_base_model(), self.config)
        self._tokenizer = TextTokenizer(
            spec.base, replace(self.config, max_length=config.max_length), warn=False
        )
        self.tensors: dict[str, torch.Tensor] = {
            name: parameter
            for name, parameter in self._peft.named_parameters()
            if parameter.requires_grad
        }

    @property
    def fixed(self) -> dict[str, torch.Tensor]:
        """Nothing: a PEFT adapter is all there is."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._backbone.device

    @property
    def vocabulary_size(self) -> int:
        """V, which token ids are below."""
        return self._backbone.vocabulary_size

    @property
    def special_tokens(self) -> frozenset[int]:
        """Ids of the tokens that are no words."""
        return self._tokenizer.special_ids

    def tokens(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each prompt, cut at the training's limit."""
        return self._tokenizer.encode(prompts)

    def encode(
        self, rows: Sequence[Sequence[int]], *, steps: int, queries: int = 0
    ) -> torch.Tensor:
        """Return (S, N, D) unit vectors of steps 1 to ``steps`` with their graph.

        It knows queries by their prompt alone.
        """
        with self._dropout():
            return self._run(rows, steps)

    def base_embeddings(self, rows: Sequence[Sequence[int]], *, steps: int) -> torch.Tensor:
        """Return (N, D): the base model without its adapter, at the last step."""
        with torch.no_grad(), self._peft.disable_adapter():
            return self._run(rows, steps)[-1]

    def restrict_head(self, frequencies: torch.Tensor, *, words: int) -> None:
        """Refuse: the head of a causal model stays whole."""
        raise TrainingInputError(
            f"head_words is {words}, but the head of a causal model stays whole. Leave it at 0."
        )

    def start_reading(
        self, statistics: TokenStatistics, sample: Sequence[Sequence[int]], config: TrainingConfig
    ) -> None:
        """Refuse: it starts from an encoder's own vector."""
        raise TrainingInputError(
            "reading is set, but a causal model has no vector of its own to refine from. Leave it "
            "out."
        )

    def set_anchor(
        self, statistics: TokenStatistics, sample: Sequence[Sequence[int]], config: TrainingConfig
    ) -> None:
        """Refuse: the anchor is made of an encoder's own vector."""
        raise TrainingInputError(
            f"anchor_weight is {config.anchor_weight}, but a causal model has no vector of its own "
            "to refine from. Leave it at 0."
        )

    def encode_anchored(
        self, rows: Sequence[Sequence[int]], *, steps: int, queries: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Refuse, as ``set_anchor`` has."""
        raise RuntimeError("a causal model has no anchor")

    def export(self, folder: Path, tensors: Mapping[str, torch.Tensor], *, half: bool) -> None:
        """Write a PEFT adapter folder."""
        current = {name: tensor.detach().clone() for name, tensor in self.tensors.items()}
        self._assign(tensors)
        try:
            self._peft.save_pretrained(str(folder), safe_serialization=True)
        finally:
            self._assign(current)
        # peft's card tells nothing; the run writes one.
        (folder / "README.md").unlink(missing_ok=True)
        file = folder / "adapter_config.json"
        described = json.loads(file.read_text(encoding="utf-8"))
        described["base_model_name_or_path"] = base_name(self._spec)
        file.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        weights = folder / _WEIGHTS
        if half:
            stored = {name: tensor.half() for name, tensor in load_file(weights).items()}
            save_file(stored, weights, metadata={"format": "pt"})
        weights.chmod(0o644)

    def _run(self, rows: Sequence[Sequence[int]], steps: int) -> torch.Tensor:
        def forward(batch: TokenBatch) -> torch.Tensor:
            prefix = self._backbone.prefill(
                batch.input_ids.to(self.device), batch.attention_mask.to(self.device)
            )
            return rollout(
                self._backbone,
                self.config,
                prefix,
                steps=steps,
                stagewise=self._training.stagewise,
            )

        return run_in_groups(
            rows, self._tokenizer, forward, max_tokens=self._training.forward_tokens
        )

    @contextmanager
    def _dropout(self) -> Iterator[None]:
        """Switch on the dropout of the adapters alone: the frozen base stays as it is."""
        drops = [
            module
            for layer in self._peft.modules()
            if isinstance(layer, BaseTunerLayer)
            for module in layer.modules()
            if isinstance(module, nn.Dropout)
        ]
        for module in drops:
            module.train()
        try:
            yield
        finally:
            for module in drops:
                module.eval()

    def _assign(self, tensors: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in tensors.items():
                self.tensors[name].copy_(tensor)


def _with_adapter(model: Any, spec: ModelSpec, config: TrainingConfig) -> Any:  # noqa: ANN401
    """Return a PeftModel with a new adapter, or with the one that the start already has."""
    if spec.adapter is not None:
        return load_adapter(model, spec.adapter, is_trainable=True).eval()
    present = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    targets = [name for name in _TARGETS if name in present]
    if not targets:
        raise TrainingInputError(
            f"{spec.name} has none of the layers {_TARGETS}, which low-rank adapters are put on. "
            "Start from a model of the Llama, Mistral, Qwen, Gemma or Phi kind."
        )
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, lora).eval()


def _check_options(config: TrainingConfig) -> None:
    """Refuse what a PEFT adapter has no place for.

    Raises:
        TrainingInputError: such an option is set.
    """
    named = dict(config.conventions)
    if config.step_embeddings:
        named["step_embeddings"] = True
    if config.query_embedding:
        named["query_embedding"] = True
    if config.readout != "none":
        named["readout"] = config.readout
    if named:
        raise TrainingInputError(
            f"{named} cannot be set for a causal model: the PEFT format that it is written in has "
            "no place for it."
        )
