"""Token rows of uneven length through a model in pieces of similar length.

The shortest padding and activations that stay in the caches: on a CPU this decides the speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from gircse_core.tokenization import TextTokenizer, TokenBatch

__all__ = ["run_in_groups"]


def run_in_groups(
    rows: Sequence[Sequence[int]],
    tokenizer: TextTokenizer,
    forward: Callable[[TokenBatch], torch.Tensor],
    *,
    max_tokens: int,
) -> torch.Tensor:
    """Return (S, N, D) in the order of the rows, with the graph of each piece.

    Args:
        rows: N token rows.
        tokenizer: pads.
        forward: from a padded batch of B rows to (S, B, D).
        max_tokens: of one piece, padding included.
    """
    order: list[int] = []
    parts = []
    for batch in tokenizer.batches([list(row) for row in rows], max_tokens=max_tokens):
        order += batch.rows
        parts.append(forward(batch))
    joined = torch.cat(parts, dim=1)  # (S, N, D), longest first
    back = torch.empty(len(order), dtype=torch.int64)
    back[torch.tensor(order)] = torch.arange(len(order))
    return joined[:, back.to(joined.device)]
