"""Lines of the files that judged sets and sentence pairs come in, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from indexer.errors import UsageError

__all__ = ["clean_text", "text_lines"]


def text_lines(file: Path) -> Iterator[tuple[str, str]]:
    """Yield each line that is not blank, with its place for messages.

    Raises:
        UsageError: the file cannot be read, or a line is not UTF-8.
    """
    try:
        # In bytes: str.splitlines would also cut at characters that texts may hold.
        with file.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                place = f"{file}:{number}"
                try:
                    # a byte-order mark is no part of the first line
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise UsageError(f"{place} is not UTF-8: {error.reason}.") from error
                if line.strip():
                    yield line.rstrip("\r\n"), place
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error


def clean_text(text: str) -> str:
    """Return a text that every tokenizer and database takes: no lone surrogates, no NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ").strip()
