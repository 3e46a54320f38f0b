"""Patterns of paths to take and to leave out, read as .gitignore reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from indexer.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["PathPatterns"]


class PathPatterns:
    """Decides on paths relative to a root, with ``/`` between their parts.

    Args:
        include: when there are any, only files that match are taken.
        exclude: files and folders that are left out; stronger than ``include``.

    Raises:
        UsageError: a pattern is not valid, or matches nothing.
    """

    def __init__(self, *, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = _spec(include, "--include")
        self._exclude = _spec(exclude, "--exclude")
        self._named = [part for pattern in include for part in _named_parts(pattern)]

    def takes(self, path: str) -> bool:
        """Return whether a file is wanted."""
        if self._include is not None and not self._include.match_file(path):
            return False
        return not self.leaves_out(path)

    def leaves_out(self, path: str) -> bool:
        """Return whether a file, or a folder whose path ends in ``/``, is excluded."""
        return self._exclude is not None and self._exclude.match_file(path)

    def names(self, name: str) -> bool:
        """Return whether a part of an ``include`` pattern names this file or folder."""
        return any(fnmatchcase(name, part) for part in self._named)


def _spec(patterns: Sequence[str], flag: str) -> GitIgnoreSpec | None:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    for pattern in patterns:
        try:
            compiled = list(GitIgnoreSpec.from_lines([pattern]).patterns)
        except (ValueError, re.error) as error:
            raise UsageError(f"{flag} {pattern!r} is not a valid pattern: {error}") from None
        if not any(part.include is not None for part in compiled):
            raise UsageError(f"{flag} {pattern!r} matches nothing; write it as in .gitignore")
    return GitIgnoreSpec.from_lines(patterns)


def _named_parts(pattern: str) -> list[str]:
    """Return the parts of a pattern that name something, rather than stand for anything."""
    parts = pattern.lstrip("!").split("/")
    return [part for part in parts if part and not part.startswith(("*", "?", "["))]
