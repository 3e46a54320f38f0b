"""The words around a text: instruction prompts as the adapters were trained with them."""

from __future__ import annotations

from gircse_core.config import ModelConfig

__all__ = ["document_prompt", "query_prompt"]


def query_prompt(config: ModelConfig, text: str) -> str:
    """Return what the model reads for a query; raw where the model has no task."""
    return _fill(config.query_template, task=config.task, text=text)


def document_prompt(config: ModelConfig, text: str) -> str:
    """Return what the model reads for a document: the text itself, unless the task is symmetric."""
    return _fill(config.document_template, task=config.task, text=text)


def _fill(template: str, *, task: str | None, text: str) -> str:
    if task is None:
        return text
    # Not str.format: braces inside of the text are the user's own.
    before, _, after = template.replace("{task}", task).partition("{text}")
    return f"{before}{text}{after}"
