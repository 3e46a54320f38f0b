"""Judged queries, and their form in files: BEIR's, with the judged passages as metadata.

Knows values and text; where they are kept, and who may write, is ``judgement_book``'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from indexer.documents import Chunk, text_hash
from indexer.errors import StorageError, UsageError
from indexer.evaluation.lines import clean_text, text_lines
from indexer.storage.segments import disk_errors

__all__ = [
    "QRELS_HEADING",
    "JudgedPassage",
    "JudgedQuery",
    "passage_key",
    "qrels_text",
    "queries_text",
    "query_id",
    "query_text",
    "read_queries",
]

QRELS_HEADING = ("query-id", "corpus-id", "score")


# What values that are not as they should be raise; OverflowError comes of infinite numbers.
_SENSELESS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)

_END_OF_TIME = 2**36
"""Some 2,000 years from the epoch, in seconds: what a calendar can show."""


@dataclass(frozen=True, slots=True)
class JudgedPassage:
    """What was said of one passage, or of a whole document, for one query.

    Args:
        document: id of the document.
        source: path of the document when it was judged.
        passage: what ``passage_key`` gives for the passage's text; empty for a whole document.
        grade: 0 for not relevant, above that for relevant.
        judged_at: seconds since the epoch.
    """

    document: str
    source: str
    passage: str
    grade: int
    judged_at: float


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query with everything that was said of its hits, oldest first: at least one passage."""

    id: str
    text: str
    passages: tuple[JudgedPassage, ...]

    @property
    def grades(self) -> dict[str, int]:
        """The grade of each judged document: that of its best passage."""
        found: dict[str, int] = {}
        for one in self.passages:
            found[one.document] = max(one.grade, found.get(one.document, one.grade))
        return found

    def grade_of(self, document: str, passage: str) -> int | None:
        """Return what was said of a passage; None where nothing was."""
        for one in self.passages:
            if (one.document, one.passage) == (document, passage):
                return one.grade
        return None


def passage_key(chunk: Chunk) -> str:
    """Return what tells a passage's text from every other one."""
    return text_hash(chunk.text).hex()[:32]


def query_text(text: str) -> str:
    """Return a query as it is kept, whatever the white space in it.

    Raises:
        UsageError: it is empty.
    """
    cleaned = " ".join(clean_text(text).split())
    if not cleaned:
        raise UsageError("the query is empty; judge the hits of one that says something")
    return cleaned


def query_id(text: str) -> str:
    """Return the id of a query, made of its text as ``query_text`` returns it."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def queries_text(queries: Iterable[JudgedQuery]) -> str:
    """Return ``queries.jsonl``: every query, with its judged passages as metadata."""
    return "".join(json.dumps(_as_record(one), ensure_ascii=False) + "\n" for one in queries)


def _as_record(query: JudgedQuery) -> dict[str, object]:
    passages = [
        {
            "document": one.document,
            "source": one.source,
            "passage": one.passage,
            "grade": one.grade,
            "judged_at": round(one.judged_at, 3),
        }
        for one in query.passages
    ]
    return {"_id": query.id, "text": query.text, "metadata": {"passages": passages}}


def qrels_text(queries: Iterable[JudgedQuery]) -> str:
    """Return ``qrels/test.tsv``: the grade of every judged document."""
    rows = ["\t".join(QRELS_HEADING)]
    for query in queries:
        rows += [f"{query.id}\t{document}\t{grade}" for document, grade in query.grades.items()]
    return "\n".join(rows) + "\n"


def read_queries(file: Path) -> tuple[JudgedQuery, ...]:
    """Return the queries of a file, none where there is no file; read again when it has changed.

    Raises:
        StorageError: it cannot be read; the message names the line.
    """
    with disk_errors(file, needed=0):
        try:
            status = file.stat()
        except FileNotFoundError:
            return ()
    return _read(file, status.st_ino, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=32)
def _read(file: Path, _inode: int, _changed_ns: int, _size: int) -> tuple[JudgedQuery, ...]:
    found: list[JudgedQuery] = []
    try:
        lines = list(text_lines(file))
    except UsageError as error:
        raise StorageError(str(error)) from error
    for line, place in lines:
        try:
            found.append(_from_record(json.loads(line)))
        except _SENSELESS as error:
            raise StorageError(
                f"{place} is no judged query ({error}); mend the line or remove it"
            ) from error
    return tuple(found)


def _from_record(record: Any) -> JudgedQuery:  # noqa: ANN401 - what JSON may hold
    passages = tuple(_passage(one) for one in record["metadata"]["passages"])
    if not passages:
        raise ValueError("nothing was judged for it")
    return JudgedQuery(id=str(record["_id"]), text=clean_text(record["text"]), passages=passages)


def _passage(record: Any) -> JudgedPassage:  # noqa: ANN401 - what JSON may hold
    grade, judged_at = int(record["grade"]), float(record["judged_at"])
    if grade < 0:
        raise ValueError(f"the grade is {grade}; it must be 0 or more")
    if not 0 <= judged_at < _END_OF_TIME:
        raise ValueError(f"judged_at is {judged_at}, which is no time since the epoch")
    return JudgedPassage(
        document=str(record["document"]),
        source=str(record["source"]),
        passage=str(record["passage"]),
        grade=grade,
        judged_at=judged_at,
    )
