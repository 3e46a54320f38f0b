"""Fits a prefix encoder's refinement to the texts of one collection, without labels or gradients.

What a general model cannot know is which words tell these texts apart, and how to keep them apart
in H numbers. Both follow from the texts in closed form: the rarity of each token among them, the
mean that they share, and codes of their words, the leading right singular vectors of the matrix of
weighted words (latent semantic indexing, Deerwester et al., 1990), turned at random so that they
share the space with the meaning instead of its main directions. Soft tokens then read the text by
these. Nothing else of the model changes, so step 0 stays the encoder's own vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from gircse_core.backbones.encoder_weights import load_tensors
from gircse_core.backbones.prefix_encoder import PrefixEncoder
from gircse_core.backbones.reading import READING_PREFIX
from gircse_core.devices import place
from gircse_core.errors import TrainingInputError
from gircse_core.integrity import check_sha256
from gircse_core.prompts import document_prompt
from gircse_core.registry import ModelSpec, resolve
from gircse_core.tokenization import TextTokenizer, TokenBatch
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.export import write_prefix_model
from gircse_core.training.model_card import CARD_FILE
from gircse_core.training.reading_start import initial_reading, total_weight
from gircse_core.training.teacher import BM25_B, BM25_K1, TokenStatistics
from gircse_core.training.token_groups import run_in_groups

__all__ = ["FitReport", "fit_to_texts"]

_SAMPLED = 2048  # texts whose mean is the centre
_TOKENS_AT_ONCE = 4096
_POWER_ITERATIONS = 4
_SEED = 0

# Chosen on nine sets of pairs from training sources, each fitted to its own passages.
_WORD_WEIGHT = 2.5
_STATE_FACTOR = 0.6
_OFFSET_FACTOR = 0.5
_EVEN_BYTES = 1400.0


@dataclass(frozen=True, slots=True)
class FitReport:
    """What was fitted.

    Args:
        folder: of the new model.
        texts: how many it was fitted to.
        words: different tokens with a code of their own.
        word_weight: how much the words count at the default number of steps, relative to the
            encoder's own vector.
    """

    folder: Path
    texts: int
    words: int
    word_weight: float


def fit_to_texts(
    model: str,
    texts: Sequence[str],
    out: Path,
    *,
    device: str | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> FitReport:
    """Write a model that is fitted to texts; it loads like any other.

    Args:
        model: where to start: a name, a folder or a hub id of a prefix encoder with refinement.
        texts: documents as they are embedded; at least two different ones.
        out: a new folder, or an empty one.
        device: torch's name for one; None chooses.
        on_progress: told in words what is being done.

    Raises:
        TrainingInputError: the model has nothing to fit, the texts are too few, or ``out`` is in
            use.
        ModelNotFoundError: there is no such model.
        ModelIntegrityError: its files are damaged.
    """
    tell = on_progress or (lambda doing: None)
    spec = resolve(model, offline=True)
    if spec.config.pooling != "residual_sum" or spec.adapter is None:
        raise TrainingInputError(
            f"{model} cannot be fitted to texts in closed form: it is no prefix encoder with "
            "refinement by residual_sum, such as gircse-minilm. Train it on pairs instead."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingInputError(f"{out} is not empty. Choose another folder for the new model.")
    tell("Counting words")
    tokenizer = TextTokenizer(spec.base, spec.config, warn=False)
    rows = tokenizer.encode([document_prompt(spec.config, text) for text in texts])
    encoder = _load_base(spec, device)
    statistics = TokenStatistics.count(
        rows, vocabulary_size=encoder.vocabulary_size, ignored=tokenizer.special_ids
    )
    tokens, codes = _word_codes(rows, statistics, width=encoder.hidden_size, tell=tell)
    tell("Looking for what all texts share")
    centre = _centre(encoder, tokenizer, rows)
    adapter = load_tensors(spec.adapter)
    if f"{READING_PREFIX}rarity" not in adapter:
        adapter |= initial_reading(statistics, centre, spec.config, TrainingConfig())
    weight = _WORD_WEIGHT * _word_share(texts)
    arrived = total_weight(spec.config, steps=max(spec.config.default_steps, 1))
    old = {name: adapter[f"{READING_PREFIX}{name}"].float() for name in ("states", "offset")}
    fitted = {
        "rarity": statistics.word_rarity(),
        "centre": centre.cpu(),
        "offset": _OFFSET_FACTOR * old["offset"],
        "states": _STATE_FACTOR * old["states"],
        "words": torch.eye(encoder.hidden_size) * (weight / arrived),
        "length": torch.tensor(0.0),
        "tokens": tokens,
        "codes": codes,
    }
    adapter |= {f"{READING_PREFIX}{name}": tensor for name, tensor in fitted.items()}
    tell("Writing the model")
    out.mkdir(parents=True, exist_ok=True)
    write_prefix_model(out, spec.config, spec, adapter, half=True)
    report = FitReport(out, len(rows), len(tokens), weight)
    (out / CARD_FILE).write_text(_card(report, spec), encoding="utf-8")
    return report


def _word_share(texts: Sequence[str]) -> float:
    """Return how much exact words count, 0 to 1: the longer the texts, the more.

    One vector holds the meaning of a short text whole and blurs the details of a long one.
    """
    mean_bytes = max(sum(len(text.encode()) for text in texts) / len(texts), 1.0)
    return mean_bytes / (mean_bytes + _EVEN_BYTES)


def _load_base(spec: ModelSpec, device: str | None) -> PrefixEncoder:
    placement = place("prefix_encoder", device=device, dtype=None)
    if spec.base_sha256 is not None:
        check_sha256(spec.base / "model.safetensors", spec.base_sha256)
    return PrefixEncoder.load(
        spec.config, spec.base, device=placement.device, dtype=placement.document_dtype
    )


def _word_codes(
    rows: Sequence[Sequence[int]],
    statistics: TokenStatistics,
    *,
    width: int,
    tell: Callable[[str], None],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (U,) token ids and their (U, H) codes.

    Raises:
        TrainingInputError: the texts hold too few different words.
    """
    tokens = torch.nonzero(statistics.frequencies * (statistics.word_rarity() > 0))[:, 0]
    if statistics.documents < 2 or len(tokens) < 2:
        raise TrainingInputError(
            f"{statistics.documents} texts with {len(tokens)} different words are too few to fit a "
            "model to. Index more documents first."
        )
    tell("Weighing words")
    matrix = _weighted_words(rows, statistics, tokens)  # (N, U), sparse
    tell("Looking for codes of the words")
    rank = min(width, *matrix.shape)
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        directions = torch.svd_lowrank(matrix, q=rank, niter=_POWER_ITERATIONS)[2]  # (U, rank)
        turn = torch.linalg.qr(torch.randn(width, width))[0][:rank]  # (rank, H)
    return tokens, directions @ turn


def _weighted_words(
    rows: Sequence[Sequence[int]], statistics: TokenStatistics, tokens: torch.Tensor
) -> torch.Tensor:
    """Return (N, U) BM25 weights of each text's words, each row of unit length."""
    place_of = {token: place for place, token in enumerate(tokens.tolist())}
    rarity = statistics.word_rarity()[tokens]  # (U,)
    places, counts, texts, lengths = [], [], [], []
    for number, row in enumerate(rows):
        found, often = torch.tensor(
            [place_of[token] for token in row if token in place_of], dtype=torch.int64
        ).unique(return_counts=True)
        places.append(found)
        counts.append(often)
        texts.append(torch.full((len(found),), number))
        lengths.append(torch.full((len(found),), int(often.sum())))
    place, count = torch.cat(places), torch.cat(counts).float()
    norm = BM25_K1 * (1 - BM25_B + BM25_B * torch.cat(lengths) / statistics.mean_length)
    weights = count * (BM25_K1 + 1) / (count + norm) * rarity[place]
    text = torch.cat(texts)
    squares = torch.zeros(len(rows)).index_add_(0, text, weights.square())
    weights = weights / squares.sqrt()[text].clamp(min=1e-9)
    size = (len(rows), len(tokens))
    return torch.sparse_coo_tensor(
        torch.stack([text, place]), weights, size, check_invariants=True
    ).coalesce()


def _centre(
    encoder: PrefixEncoder, tokenizer: TextTokenizer, rows: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Return (H,): the mean of the encoder's own vectors over a sample of the texts."""

    def forward(batch: TokenBatch) -> torch.Tensor:
        ids, mask = batch.input_ids.to(encoder.device), batch.attention_mask.to(encoder.device)
        pooled = encoder.prefill(ids, mask).pooled
        assert pooled is not None  # a prefix encoder always has it
        return functional.normalize(pooled, dim=-1)[None]

    sample = rows[:: max(len(rows) // _SAMPLED, 1)]
    with torch.inference_mode():
        return run_in_groups(sample, tokenizer, forward, max_tokens=_TOKENS_AT_ONCE)[0].mean(dim=0)


def _card(report: FitReport, spec: ModelSpec) -> str:
    return (
        f"# {report.folder.resolve().name}\n\n"
        f"`{spec.name}`, its refinement fitted to {report.texts:,} texts of one collection in "
        f"closed form, without labels: the rarity of words among them, what all of them share, and "
        f"codes of {report.words:,} word pieces. Words weigh {report.word_weight:.2f} of the "
        "encoder's own vector at the default number of steps. Steps and conventions are those of "
        "the model it was made from.\n\n"
        "The codes follow from the texts: whoever has this model can tell which words the "
        "collection holds.\n"
    )
