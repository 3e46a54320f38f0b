"""Hard negatives: passages that the model itself takes for answers, found in each source.

Exact search over all passages of a source. What scores about as high as a query's own passage is
probably an answer nobody marked, and what says nearly the same as it certainly is: both are left
out (the margin rule of NV-Retriever, Moreira et al., arXiv:2407.15831: below a share of the
positive's own score).
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from gircse_core.embedder import GircseEmbedder
from gircse_core.errors import TrainingInputError
from gircse_core.integrity import read_json
from gircse_core.registry import resolve
from gircse_core.training.pairs import Pair, PairSet, read_pairs
from gircse_core.training.run_folder import RunFolder

__all__ = ["MiningConfig", "MiningProgress", "mine"]

_RECORD = "mined.json"
_TEXTS_AT_ONCE = 1024
_QUERIES_AT_ONCE = 512
_CANDIDATES_PER_NEGATIVE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningConfig:
    """How negatives are chosen.

    Args:
        model: who looks for them: a name, a folder or a hub id.
        negatives: at most so many for a query.
        steps: refinement steps; None for the model's default.
        margin: a negative's score is at most this share of the positive's.
        duplicate: a passage this similar to the positive is no negative.
        device: torch's name for one; None chooses.
        leave_out: sources and tags to skip; see ``read_pairs``.
    """

    model: str = "gircse-minilm"
    negatives: int = 4
    steps: int | None = None
    margin: float = 0.95
    duplicate: float = 0.95
    device: str | None = None
    leave_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise TrainingInputError(f"negatives is {self.negatives}; it must be at least 1.")
        for name in ("margin", "duplicate"):
            if not 0 < getattr(self, name) <= 1:
                raise TrainingInputError(f"{name} is {getattr(self, name)}; it must be 0 to 1.")


@dataclass(frozen=True, slots=True)
class MiningProgress:
    """How far mining is.

    Args:
        source: the one at hand.
        texts: embedded so far, of all sources.
        texts_total: to embed in all.
    """

    source: str
    texts: int
    texts_total: int


def mine(
    config: MiningConfig,
    pair_files: Sequence[Path],
    out: Path,
    *,
    on_progress: Callable[[MiningProgress], None] | None = None,
) -> list[Path]:
    """Write the pairs with mined negatives, one ``.jsonl.gz`` per source; return the files.

    Args:
        config: how.
        pair_files: as for training; negatives that they hold already stay first.
        out: folder for the files; a source that it holds already from the same choices and
            pairs is not mined again.
        on_progress: called after every group of texts.

    Raises:
        TrainingInputError: the files cannot be used, or ``out`` holds what was mined otherwise.
        StepCountError: the model does not define that many steps.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingInputError(
            "Mining does not share its work: mine in one process, then train on the new files."
        )
    pairs = read_pairs(pair_files, leave_out=config.leave_out)
    embedder = GircseEmbedder(resolve(config.model, offline=True), config.device)
    _claim(out, config, pairs, embedder.fingerprint)
    search = _Search(embedder, config, pairs, on_progress)
    files = []
    for source, listed in pairs.sources.items():
        file = out / f"{_file_stem(source)}.jsonl.gz"
        if file in files:
            raise TrainingInputError(
                f"Two sources would both be written to {file.name}; rename one of them."
            )
        if file.is_file():
            search.skip(listed)
        else:
            _write(file, source, listed, search.negatives(source, listed))
        files.append(file)
    return files


class _Search:
    """Embeds the texts of one source after the other and looks for negatives among them."""

    def __init__(
        self,
        embedder: GircseEmbedder,
        config: MiningConfig,
        pairs: PairSet,
        on_progress: Callable[[MiningProgress], None] | None,
    ) -> None:
        self._embedder = embedder
        self._config = config
        self._on_progress = on_progress
        self._done = 0
        self._total = sum(_texts(listed) for listed in pairs.sources.values())

    def skip(self, pairs: Sequence[Pair]) -> None:
        """Count a source as done."""
        self._done += _texts(pairs)

    def negatives(self, source: str, pairs: Sequence[Pair]) -> Iterator[list[str]]:
        """Yield the mined negatives of each pair, hardest first."""
        passages = list(dict.fromkeys(pair.passage for pair in pairs))
        queries = list(dict.fromkeys(pair.query for pair in pairs))
        vectors = self._embed(self._embedder.embed_documents, passages, source)  # (P, D)
        asked = self._embed(self._embedder.embed_queries, queries, source)  # (Q, D)
        row_of = {text: row for row, text in enumerate(passages)}
        query_of = {text: row for row, text in enumerate(queries)}
        answers: dict[str, set[int]] = {}
        for pair in pairs:
            answers.setdefault(pair.query, set()).add(row_of[pair.passage])
        depth = min(self._config.negatives * _CANDIDATES_PER_NEGATIVE, len(passages))
        for start in range(0, len(pairs), _QUERIES_AT_ONCE):
            group = pairs[start : start + _QUERIES_AT_ONCE]
            rows = torch.tensor([query_of[pair.query] for pair in group])
            own = torch.tensor([row_of[pair.passage] for pair in group])
            scores = asked[rows] @ vectors.T  # (G, P)
            limits = self._config.margin * (asked[rows] * vectors[own]).sum(dim=1)  # (G,)
            # Only what is hard and yet below the limit is a candidate at all.
            scores = scores.masked_fill(scores > limits[:, None], -2.0)
            found = scores.topk(depth, dim=1)
            for place, pair in enumerate(group):
                candidates = found.indices[place][found.values[place] > -2.0]
                alike = vectors[candidates] @ vectors[own[place]] >= self._config.duplicate
                known = answers[pair.query]
                kept = [row for row in candidates[~alike].tolist() if row not in known]
                yield [passages[row] for row in kept[: self._config.negatives]]

    def _embed(
        self, embed: Callable[..., object], texts: Sequence[str], source: str
    ) -> torch.Tensor:
        """Return (N, D) float32 vectors."""
        parts = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            group = texts[start : start + _TEXTS_AT_ONCE]
            parts.append(torch.as_tensor(embed(group, self._config.steps)))
            self._done += len(group)
            if self._on_progress is not None:
                self._on_progress(MiningProgress(source, self._done, self._total))
        return torch.cat(parts)


def _claim(out: Path, config: MiningConfig, pairs: PairSet, fingerprint: Mapping[str, str]) -> None:
    """Say in the folder what is mined there, or check that it is the same."""
    record = {
        "config": {**asdict(config), "leave_out": list(config.leave_out)},
        "model": dict(fingerprint),
        "data": [[file.name, file.sha256] for file in pairs.files],
    }
    file = out / _RECORD
    if file.is_file():
        if read_json(file) != record:
            raise TrainingInputError(
                f"{out} holds negatives that were mined by another model, from other files or with "
                "other choices. Delete it, or choose another folder."
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingInputError(f"{out} is not empty and holds nothing mined. Choose another.")
    out.mkdir(parents=True, exist_ok=True)
    RunFolder.write(file, json.dumps(record, indent=2, ensure_ascii=False))


def _texts(pairs: Sequence[Pair]) -> int:
    return len({pair.passage for pair in pairs}) + len({pair.query for pair in pairs})


def _write(file: Path, source: str, pairs: Sequence[Pair], mined: Iterator[list[str]]) -> None:
    partial = file.with_name(file.name + ".partial")
    # No time stamp: the same negatives give the same checksum.
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as stream:
        for pair, negatives in zip(pairs, mined, strict=True):
            label = f"{source}#{pair.tag}" if pair.tag else source
            line = {
                "query": pair.query,
                "pos": pair.passage,
                "neg": list(dict.fromkeys([*pair.negatives, *negatives])),
                "source": label,
            }
            stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    partial.replace(file)


def _file_stem(source: str) -> str:
    return re.sub(r"[^\w.-]+", "_", source).strip(".") or "source"
