"""Imports what only the extra ``eval`` installs, or says how to get it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from indexer.errors import UsageError

__all__ = ["require"]


def require(module: str) -> Any:  # noqa: ANN401 - a module has no narrower type
    """Return an imported module of the extra ``eval``.

    Raises:
        UsageError: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"drawing needs {module}, which is not installed ({error}): "
            "pip install 'gircse-search[eval]'"
        ) from error
