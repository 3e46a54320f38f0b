"""The prefix encoder in training: a frozen prompt path, adapters on the generated positions.

The prompt is read without a graph, so an update costs little more than inference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from gircse_core.backbones.encoder_weights import ADAPTED, EncoderConfig, load_tensors
from gircse_core.backbones.prefix_encoder import PrefixEncoder
from gircse_core.backbones.reading import FIXED_READING
from gircse_core.devices import place
from gircse_core.errors import TrainingInputError
from gircse_core.integrity import check_sha256
from gircse_core.registry import ModelSpec
from gircse_core.tokenization import TextTokenizer, TokenBatch
from gircse_core.training.anchor import Anchor
from gircse_core.training.configuration import TrainingConfig, trained_conventions
from gircse_core.training.export import write_prefix_model
from gircse_core.training.reading_start import initial_reading
from gircse_core.training.rollout import rollout
from gircse_core.training.teacher import TokenStatistics
from gircse_core.training.token_groups import run_in_groups

__all__ = ["PrefixTrainee", "initial_tensors"]

# A word in more of the texts than this is no content word.
_COMMON_SHARE = 0.1


class PrefixTrainee:
    """A ``PrefixEncoder`` whose adapter is being trained.

    Args:
        spec: where training starts; without an adapter it begins as the base encoder.
        config: resolved.
        device: torch's name for one; None chooses.

    Raises:
        ModelIntegrityError: files are missing or damaged.
        TrainingInputError: an option does not fit the model.
    """

    def __init__(
        self, spec: ModelSpec, config: TrainingConfig, *, device: str | None = None
    ) -> None:
        assert config.alpha is not None  # resolved
        assert config.max_length is not None
        if config.dropout:
            raise TrainingInputError(
                f"dropout is {config.dropout}, but the adapters of a prefix encoder are merged "
                "into its weights and know no dropout. Leave it at 0."
            )
        self._spec = spec
        self._training = config
        self.config = trained_conventions(spec.config, config)
        placement = place("prefix_encoder", device=device, dtype=config.dtype)
        if spec.base_sha256 is not None:
            check_sha256(spec.base / "model.safetensors", spec.base_sha256)
        self._base = PrefixEncoder.load(
            self.config, spec.base, device=placement.device, dtype=placement.document_dtype
        )
        _check_positions(config.max_length, config.steps, self._base.sizes.max_positions)
        self._tokenizer = TextTokenizer(
            spec.base, replace(self.config, max_length=config.max_length), warn=False
        )
        self._anchor: Anchor | None = None
        self._alpha = config.alpha
        self.tensors: dict[str, torch.Tensor] = {}
        self.fixed: dict[str, torch.Tensor] = {}
        self._take(self._start(spec, config))

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._base.device

    @property
    def vocabulary_size(self) -> int:
        """V, which token ids are below."""
        return self._base.vocabulary_size

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
        """Return (S, N, D) unit vectors of steps 0 to ``steps`` with their graph."""
        return self._encode(rows, steps, queries, None)

    def encode_anchored(
        self, rows: Sequence[Sequence[int]], *, steps: int, queries: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what ``encode`` does, and the (N, D) anchors, from one reading of the prompts."""
        both = self._encode(rows, steps, queries, self._anchor)  # (S + 1, N, D)
        return both[:-1], both[-1]

    def start_reading(
        self, statistics: TokenStatistics, sample: Sequence[Sequence[int]], config: TrainingConfig
    ) -> None:
        """Let soft tokens read the prompt, from where the anchor's weights would take a text."""
        self._require_residual_sum("reading")
        self._take(
            initial_reading(
                statistics,
                self.base_embeddings(sample, steps=0).mean(dim=0),
                self.config,
                config,
            )
        )

    def set_anchor(
        self, statistics: TokenStatistics, sample: Sequence[Sequence[int]], config: TrainingConfig
    ) -> None:
        """Prepare the anchors; the centre is that of the sample."""
        self._require_residual_sum("anchor_weight")
        self._anchor = Anchor(
            statistics,
            self._base.prompt_weights.words,
            self.base_embeddings(sample, steps=0).mean(dim=0),
            rare=config.anchor_rare,
            lexical=config.anchor_lexical,
            full_length=config.anchor_length,
        )
        if config.anchor_whitening:
            with torch.no_grad():
                vectors = self._encode_part(self._base, sample, 0, self._anchor, False)[-1]
            self._anchor.whiten(vectors, strength=config.anchor_whitening)

    def _encode(
        self, rows: Sequence[Sequence[int]], steps: int, queries: int, anchor: Anchor | None
    ) -> torch.Tensor:
        """Return (S, N, D), and the anchors as one more row of S where there are any."""
        documents = PrefixEncoder.adapted(self._base, self._scaled(self.tensors) | self.fixed)
        parts = []
        if queries:
            encoder = documents.for_queries()
            parts.append(self._encode_part(encoder, rows[:queries], steps, anchor, True))
        if len(rows) > queries:
            parts.append(self._encode_part(documents, rows[queries:], steps, anchor, False))
        return torch.cat(parts, dim=1)

    def _encode_part(
        self,
        encoder: PrefixEncoder,
        rows: Sequence[Sequence[int]],
        steps: int,
        anchor: Anchor | None,
        are_queries: bool,
    ) -> torch.Tensor:
        def forward(batch: TokenBatch) -> torch.Tensor:
            ids, mask = batch.input_ids.to(self.device), batch.attention_mask.to(self.device)
            prefix = encoder.prefill(ids, mask)
            embeddings = rollout(
                encoder, self.config, prefix, steps=steps, stagewise=self._training.stagewise
            )
            if anchor is None:
                return embeddings
            assert prefix.states is not None
            anchors = anchor.vectors(ids, mask, prefix.states, are_queries=are_queries)
            return torch.cat([embeddings, anchors[None]])

        return run_in_groups(
            rows, self._tokenizer, forward, max_tokens=self._training.forward_tokens
        )

    def base_embeddings(self, rows: Sequence[Sequence[int]], *, steps: int) -> torch.Tensor:
        """Return (N, D): the frozen encoder's own vectors."""
        with torch.no_grad():
            return run_in_groups(
                rows,
                self._tokenizer,
                lambda batch: rollout(
                    self._base,
                    self.config,
                    self._base.prefill(
                        batch.input_ids.to(self.device), batch.attention_mask.to(self.device)
                    ),
                    steps=0,
                ),
                max_tokens=self._training.forward_tokens,
            )[0]

    def export(self, folder: Path, tensors: Mapping[str, torch.Tensor], *, half: bool) -> None:
        """Write ``gircse.json`` and ``adapter.safetensors``."""
        adapter = self._scaled(dict(self.tensors) | dict(tensors)) | self.fixed
        write_prefix_model(folder, self.config, self._spec, adapter, half)

    def restrict_head(self, frequencies: torch.Tensor, *, words: int) -> None:
        """Make soft tokens of the most frequent content words alone.

        Args:
            frequencies: (V,) share of the training texts in which a token occurs.
            words: how many.

        Raises:
            TrainingInputError: the texts hold fewer.
        """
        order = frequencies.argsort(descending=True, stable=True).tolist()
        chosen = [
            token
            for token in order
            # Pieces inside of words say little alone; what is everywhere says nothing.
            if 0 < frequencies[token] <= _COMMON_SHARE
            and len(spelled := self._tokenizer.decode_token(token)) > 2
            and spelled.isalpha()
        ]
        if len(chosen) < words:
            raise TrainingInputError(
                f"head_words is {words}, but the training texts hold only {len(chosen)} different "
                "content words. Choose fewer."
            )
        self.fixed["head_tokens"] = torch.tensor(sorted(chosen[:words]))

    def _require_residual_sum(self, option: str) -> None:
        if self.config.pooling != "residual_sum":
            raise TrainingInputError(
                f"{option} is set, but the pooling is {self.config.pooling}: only with "
                "residual_sum is it known how far each step is to go. Add --set "
                "pooling=residual_sum."
            )

    def _take(self, start: Mapping[str, torch.Tensor]) -> None:
        """Sort tensors into those that are trained and those that are not."""
        for name, tensor in start.items():
            if not tensor.is_floating_point():
                self.fixed[name] = tensor
            elif name in FIXED_READING:
                self.fixed[name] = tensor.to(self.device, torch.float32)
            else:
                self.tensors[name] = tensor.to(self.device, torch.float32).requires_grad_()

    def _scaled(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return an adapter as the backbone takes it: alpha / r multiplied into B."""
        return {
            name: tensor * (self._alpha / tensor.shape[1]) if name.endswith(".lora_B") else tensor
            for name, tensor in tensors.items()
        }

    def _start(self, spec: ModelSpec, config: TrainingConfig) -> dict[str, torch.Tensor]:
        tensors = initial_tensors(self._base.sizes, config)
        if spec.adapter is not None:
            for name, tensor in load_tensors(spec.adapter).items():
                if name.endswith(".lora_B"):
                    tensor = tensor.float() * (tensor.shape[1] / self._alpha)
                tensors[name] = tensor
        return tensors


def _check_positions(max_length: int, steps: int, positions: int) -> None:
    if max_length + steps > positions:
        raise TrainingInputError(
            f"max_length is {max_length} and steps is {steps}, which together need more positions "
            f"than the {positions} of the model. Choose a max_length of {positions - steps} or "
            "less."
        )


def initial_tensors(sizes: EncoderConfig, config: TrainingConfig) -> dict[str, torch.Tensor]:
    """Return what training starts from where the starting model has no such tensor.

    They make the base encoder at every position (each B is 0), but for a readout of zero.
    """
    assert config.rank is not None  # resolved
    generator = torch.Generator().manual_seed(config.seed)
    hidden, inner = sizes.hidden_size, sizes.inner_size
    shapes = dict.fromkeys(ADAPTED, (hidden, hidden)) | {
        "up": (inner, hidden),
        "down": (hidden, inner),
    }
    tensors = {}
    for layer in range(sizes.layers):
        for name, (rows, columns) in shapes.items():
            stem = f"layers.{layer}.{name}"
            bound = 1 / math.sqrt(columns)
            down = torch.rand(config.rank, columns, generator=generator) * 2 * bound - bound
            tensors[f"{stem}.lora_A"] = down
            tensors[f"{stem}.lora_B"] = torch.zeros(rows, config.rank)
    if config.step_embeddings:
        tensors["step_embeddings"] = torch.zeros(config.steps, hidden)
    if config.query_embedding:
        tensors["query_embedding"] = torch.zeros(hidden)
    if config.readout != "none":
        start = torch.eye(hidden) if config.readout == "identity" else torch.zeros(hidden, hidden)
        tensors["readout"] = start
    return tensors
