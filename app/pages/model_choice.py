"""The choice of a model and of the refinement steps that documents get."""

from __future__ import annotations

import streamlit as st

from app.offered_models import offered_models
from app.rendering import markdown_text, visible_line
from app.searching.slider import default_steps, step_range
from app.services import Services
from indexer.embedder import ModelInfo

__all__ = ["model_and_steps"]


def model_and_steps(parts: Services, model: str, steps: int | None) -> tuple[ModelInfo, int] | None:
    """Let the user choose a model and the refinement steps of documents.

    Args:
        parts: of the app.
        model: the one to begin with.
        steps: those to begin with; None takes the model's own.

    Returns:
        What was chosen; None where no model is on this machine.
    """
    offered = offered_models(parts)
    if not offered:
        st.error(
            "No model is on this machine. `gircse model list` shows which there are to be had.",
            icon=":material/error:",
        )
        return None
    names = list(offered)
    first = names.index(model) if model in names else 0
    name = names[0]
    if len(names) > 1:
        name = st.selectbox("Model", names, index=first, format_func=visible_line)
    else:
        st.caption(f"Model: {markdown_text(name)}")
    info = offered[name]
    low, high = step_range(info)
    if low == high:
        st.caption("This model has no refinement steps.")
        return info, low
    chosen = st.slider(
        "Refinement steps of documents",
        low,
        high,
        default_steps(info, steps),
        key=f"document-steps-{name}",
        help="Each step makes indexing slower. Questions choose their own number.",
    )
    return info, chosen
