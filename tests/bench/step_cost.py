"""What refinement costs on this device: passages per second and milliseconds per query, by steps.

    python -m tests.bench.step_cost [--model MODEL] [--texts 256] [--rounds 3]
    python -m tests.bench.step_cost --seven-billion

The second form times a causal model with random weights in the shape of Qwen2-7B, in bfloat16, for
those who have no weights at hand: what a step costs does not depend on their values. Beside each
query stands the physical limit: the time that reading all weights once for the prompt and once for
each step takes at the speed at which this device copies memory, measured in the same run.
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import Qwen2Config, Qwen2ForCausalLM

from gircse_core import GircseEmbedder
from gircse_core.backbones.causal import CausalBackbone
from gircse_core.config import ModelConfig
from gircse_core.generation import generate
from tests.bench.embedding import SAMPLE, passages
from tests.bench.startup import timed

QUERY = "how do I remove limescale from a tap"
STEPS = (0, 1, 2, 5, 10, 20)
PASSAGE_TOKENS, QUERY_TOKENS, BATCH = 217, 32, 64


def median_s(work: Callable[[], object], rounds: int) -> float:
    return statistics.median(timed(rounds, work))


def weight_count(folder: Path) -> int:
    """Return how many numbers the safetensors files of a folder hold."""
    count = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            count += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return count


def copied_bytes_per_s(device: torch.device) -> float:
    """Return how many bytes the device reads per second as it copies a gigabyte."""
    source = torch.ones(1 << 28, device=device)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        target[-1].item()  # waits for the device

    return 2 * source.nbytes / median_s(copy, 5)


def show(steps: int, passages_per_s: float, query_s: float, limit_s: float) -> None:
    print(
        f"{steps:>5}  {passages_per_s:>12,.0f}  {1000 * query_s:>9.2f}  {1000 * limit_s:>9.2f}  "
        f"{query_s / limit_s:>6.1f}",
        flush=True,
    )


def refine(embedder: GircseEmbedder, steps: int) -> None:
    for _ in embedder.refine(QUERY, steps):
        pass


def time_model(name: str, *, texts: int, rounds: int) -> None:
    embedder = GircseEmbedder(name)
    documents = passages(SAMPLE, count=texts, tokens=200)
    weights = weight_count(embedder.info.base) * embedder.placement.query_dtype.itemsize
    speed = copied_bytes_per_s(embedder.placement.device)
    print(f"{embedder.info.name}: {embedder.placement.reason}; {speed / 1e9:,.0f} GB/s")
    for steps in (count for count in STEPS if count >= embedder.config.min_steps):
        batch_s = median_s(partial(embedder.embed_documents, documents, steps), rounds)
        query_s = median_s(partial(refine, embedder, steps), 10 * rounds)
        show(steps, texts / batch_s, query_s, weights * (1 + steps) / speed)


def time_random_weights(device: torch.device, *, rounds: int) -> None:
    shape = Qwen2Config(
        vocab_size=152_064,
        hidden_size=3584,
        intermediate_size=18_944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        tie_word_embeddings=False,
    )
    config = ModelConfig(family="causal", pooling="generate_mean")
    torch.set_default_dtype(torch.bfloat16)
    with device:
        model = Qwen2ForCausalLM(shape).eval()
    torch.set_default_dtype(torch.float32)
    backbone = CausalBackbone(model, config)
    weights = sum(tensor.nbytes for tensor in model.parameters())
    speed = copied_bytes_per_s(device)
    print(
        f"random weights, {weights / 1e9:.1f} GB of bfloat16 on {device}; {speed / 1e9:,.0f} GB/s"
    )

    @torch.inference_mode()
    def run(rows: int, tokens: int, steps: int) -> None:
        ids = torch.randint(10, shape.vocab_size - 10, (rows, tokens), device=device)
        for step in generate(backbone, config, ids, torch.ones_like(ids), max_steps=steps):
            step.embedding.float().cpu()

    for steps in (count for count in STEPS if count >= config.min_steps):
        batch_s = median_s(partial(run, BATCH, PASSAGE_TOKENS, steps), rounds)
        query_s = median_s(partial(run, 1, QUERY_TOKENS, steps), rounds)
        show(steps, BATCH / batch_s, query_s, weights * (1 + steps) / speed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="gircse-minilm")
    parser.add_argument("--seven-billion", action="store_true")
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    print("steps  passages per s  query ms  limit ms   ratio")
    if options.seven_billion:
        place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        time_random_weights(place, rounds=options.rounds)
    else:
        time_model(options.model, texts=options.texts, rounds=options.rounds)


if __name__ == "__main__":
    main()
