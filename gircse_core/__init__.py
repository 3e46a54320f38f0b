"""GIRCSE: text embeddings that a language model writes step by step.

Knows tensors and text; knows nothing of files to index, stores or user interfaces.

Dimensions used throughout: B batch, T prompt tokens, K refinement steps (soft tokens),
V vocabulary, H hidden width, N texts, D embedding width (= H).

Source: Tsai et al., "Let LLMs Speak Embedding Languages: Generative Text Embeddings via Iterative
Contrastive Refinement", ICLR 2026, arXiv:2509.24291.

Importing this package is cheap: torch is loaded with the first name that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gircse_core.errors import GircseError

if TYPE_CHECKING:
    from gircse_core.embedder import GircseEmbedder, Refinement
    from gircse_core.registry import ModelSpec, list_models, resolve

__all__ = [
    "GircseEmbedder",
    "GircseError",
    "ModelSpec",
    "Refinement",
    "list_models",
    "resolve",
]

_HOMES = {
    "GircseEmbedder": "gircse_core.embedder",
    "Refinement": "gircse_core.embedder",
    "ModelSpec": "gircse_core.registry",
    "list_models": "gircse_core.registry",
    "resolve": "gircse_core.registry",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
