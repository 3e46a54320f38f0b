"""Filters as Qdrant applies them, inside its own search.

What a path pattern means Qdrant cannot say, so the documents that it fits are found first, and the
search is limited to them by their ids: exact, at the price of a list of ids in the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from indexer.errors import InvalidFilterError
from indexer.searching.filters import Where
from indexer.stores.qdrant.points import is_point_id

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["NOTHING", "Nothing", "filter_of"]

_MOST_IDS = 400_000
"""Half of what fits into one request of 32 MiB."""


class Nothing:
    """A filter that no document passes."""


NOTHING = Nothing()


def filter_of(
    where: Where | None, sources: Callable[[], Mapping[str, str]]
) -> models.Filter | Nothing | None:
    """Return the filter of a request; None lets everything pass.

    Args:
        where: the conditions.
        sources: returns the source of every document by its id; asked for path patterns only.

    Raises:
        InvalidFilterError: a path pattern fits more documents than one request can name.
    """
    if not where:
        return None
    from qdrant_client import models

    must: list[Any] = []
    must_not: list[Any] = []
    if where.media_types:
        must.append(_any_of("media_type", where.media_types))
    if where.document_ids:
        known = [one for one in where.document_ids if is_point_id(one)]
        if not known:
            return NOTHING
        must.append(_any_of("document", known))
    if where.modified_after is not None or where.modified_before is not None:
        times = models.Range(gte=where.modified_after, lt=where.modified_before)
        must.append(models.FieldCondition(key="modified_at", range=times))
    if where.path_glob is not None:
        fitting, others = _parted(where, sources())
        if not fitting:
            return NOTHING
        if len(fitting) <= len(others):
            must.append(_any_of("document", fitting))
        elif others:
            must_not.append(_any_of("document", others))
    return models.Filter(must=must or None, must_not=must_not or None)


def _parted(where: Where, sources: Mapping[str, str]) -> tuple[list[str], list[str]]:
    fitting: list[str] = []
    others: list[str] = []
    for document_id, source in sources.items():
        (fitting if where.matches_path(source) else others).append(document_id)
    if min(len(fitting), len(others)) > _MOST_IDS:
        raise InvalidFilterError(
            f"path={where.path_glob} fits {len(fitting)} of {len(sources)} documents, and Qdrant "
            f"takes a list of up to {_MOST_IDS}; narrow the path"
        )
    return fitting, others


def _any_of(key: str, values: Sequence[str]) -> models.FieldCondition:
    from qdrant_client import models

    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))
