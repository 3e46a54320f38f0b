"""Finding the document that a user means by an id, the start of one, a path or the end of one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.documents import document_id
from indexer.errors import UsageError
from indexer.indexing.discovery import display_path

if TYPE_CHECKING:
    from indexer.collections.library import Collection
    from indexer.stores.base import DocumentRecord

__all__ = ["find_document"]

_ID_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
_MAX_NAMED = 5


def find_document(target: Collection, text: str) -> DocumentRecord:
    """Return the document that ``text`` names.

    Args:
        target: where to look.
        text: a document's id, at least 4 characters from its start, a path, whole names from the
            end of one, or an address.

    Raises:
        UsageError: there is none, or more than one.
    """
    sources = _sources(text)
    for source in sources:
        if found := _records(target, (document_id(source),)):
            return found[0]
    prefix = text.lower() if _ID_PREFIX.fullmatch(text.lower()) else None
    ending = "/" + sources[0].strip("/")
    found = [
        record
        for record in target.store.documents()
        if record.source.endswith(ending) or (prefix and record.id.startswith(prefix))
    ]
    if len(found) == 1:
        return found[0]
    raise UsageError(_ambiguous(text, found) if found else _absent(target, text, sources))


def _sources(text: str) -> list[str]:
    """Return the sources that may be meant: the text as it is, and as a path, without links too."""
    sources = [display_path(text)]
    try:
        path = Path(text).expanduser()
        sources += [display_path(path.resolve()), display_path(path.absolute())]
    except (OSError, RuntimeError, ValueError):
        pass  # no path, then
    return list(dict.fromkeys(sources))


def _records(target: Collection, ids: tuple[str, ...]) -> list[DocumentRecord]:
    from indexer.searching.filters import Where

    return target.store.documents(where=Where(document_ids=ids))


def _ambiguous(text: str, found: list[DocumentRecord]) -> str:
    named = "".join(f"\n  {record.id}  {record.source}" for record in found[:_MAX_NAMED])
    more = f"\n  … and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    what = "an id that starts or a path that ends"
    return f"{len(found)} documents have {what} with {text!r}:{named}{more}"


def _absent(target: Collection, text: str, sources: list[str]) -> str:
    for row in target.ledger.get([document_id(source) for source in sources]).values():
        why = row.message or row.code or "index it again"
        return f"{row.source} is in {target.name!r} without text: {row.state}, {why}."
    return (
        f"{target.name!r} has no document {text!r} (an id, at least 4 characters of one, a path or"
        f" its end). List them: gircse documents list -c {target.name}"
    )
