"""Words for what goes wrong inside a parser."""

from __future__ import annotations

from indexer.errors import ExtractionError
from indexer.loaders.encoding import one_line

__all__ = ["damaged", "describe", "out_of_memory"]


def describe(error: BaseException) -> str:
    """Put an exception of a parser into one short line."""
    message = one_line(str(error), limit=200)
    name = type(error).__name__
    return f"{message} ({name})" if message else name


def damaged(what: str, error: BaseException) -> ExtractionError:
    """Return the error for ``what`` that a parser gave up on."""
    return ExtractionError(
        "damaged",
        f"{what} is damaged or not what its name says: {describe(error)}",
        hint="open it in the program that made it and save it again, or fetch it again",
    )


def out_of_memory(what: str) -> ExtractionError:
    """Return the error for ``what`` that did not fit into the memory allowed."""
    return ExtractionError(
        "memory",
        f"reading {what} took more memory than is allowed",
        hint="split the file into smaller ones, or allow more memory",
    )
