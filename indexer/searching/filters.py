"""Which documents a search or a list is limited to.

Knows what a condition means, not how a store applies it: where a store cannot express a path
pattern it asks ``Where.matches_path``, so that a pattern means the same on every store.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import translate
from functools import lru_cache

from indexer.errors import InvalidFilterError

__all__ = ["Where"]

_KEYS = "type, path, after, before, document"


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions on documents, all of which must hold; one that is left out always holds.

    Args:
        path_glob: shell pattern for the whole source, in which ``*`` also stands for ``/``; or a
            run of whole path components anywhere, taken as they are: ``docs/api`` matches
            ``/home/me/docs/api/index.md``, and ``copy [1].md`` the file of that name.
        media_types: any of these types.
        modified_after: earliest modification time, seconds since the epoch.
        modified_before: modification time that is already too late.
        document_ids: any of these documents.
    """

    path_glob: str | None = None
    media_types: tuple[str, ...] = ()
    modified_after: float | None = None
    modified_before: float | None = None
    document_ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Where()

    def matches_path(self, source: str) -> bool:
        """Return whether a document's source fits ``path_glob``."""
        if self.path_glob is None:
            return True
        components = self.path_glob.strip("/")
        if not components or f"/{components}/" in f"/{source.strip('/')}/":
            return True
        return _compiled(self.path_glob).match(source) is not None

    @classmethod
    def parse(cls, conditions: Sequence[str]) -> Where:
        """Return the filter for conditions as the command line takes them.

        Args:
            conditions: each ``key=value``: ``type=pdf,markdown``, ``path=*/peps/*``,
                ``after=2024-01-31`` (that day or later), ``before=2024-01-31`` (an earlier day),
                ``document=ID``. Dates are local; ``2024-01-31T18:30`` gives a time as well.

        Raises:
            InvalidFilterError: an unknown key or type, a value that is empty or no date, or a key
                given twice that can hold only once.
        """
        values: dict[str, list[str]] = {}
        for condition in conditions:
            key, equals, value = condition.partition("=")
            key, value = key.strip().lower(), value.strip()
            if not equals or key not in _KEYS.split(", "):
                raise InvalidFilterError(
                    f"{condition!r} is no condition; write key=value with one of {_KEYS}"
                )
            if not value:
                raise InvalidFilterError(f"{condition!r} has no value after the equals sign")
            values.setdefault(key, []).append(value)
        for key in ("path", "after", "before"):
            if len(values.get(key, [])) > 1:
                raise InvalidFilterError(f"{key} is given twice: {', '.join(values[key])}")
        return cls(
            path_glob=values.get("path", [None])[0],
            media_types=_media_types(values),
            modified_after=_timestamp("after", values),
            modified_before=_timestamp("before", values),
            document_ids=_listed("document", values),
        )


def _listed(key: str, values: dict[str, list[str]]) -> tuple[str, ...]:
    parts = [part.strip().lower() for value in values.get(key, []) for part in value.split(",")]
    if not all(parts):
        raise InvalidFilterError(f"{key}={','.join(values[key])} has an empty place; remove it")
    return tuple(dict.fromkeys(parts))


def _media_types(values: dict[str, list[str]]) -> tuple[str, ...]:
    from indexer.loaders import MEDIA_TYPES

    named = _listed("type", values)
    for media_type in named:
        if media_type not in MEDIA_TYPES:
            raise InvalidFilterError(
                f"there is no type {media_type!r}; known: {', '.join(MEDIA_TYPES)}"
            )
    return named


def _timestamp(key: str, values: dict[str, list[str]]) -> float | None:
    if key not in values:
        return None
    text = values[key][0]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidFilterError(
            f"{key}={text} is no date; write it as 2024-01-31 or 2024-01-31T18:30"
        ) from error


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
