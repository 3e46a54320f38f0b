"""What users said of hits: judged passages, kept beside a collection in the BEIR layout.

``judgements/queries.jsonl`` has every judged query, with the passages that were judged in its
metadata, and is what counts; ``judgements/qrels/test.tsv`` has the documents' grades, made from it
at every change. Both lie outside of the generations, so that no rebuild touches them. Passages are
known by their document and their text, which outlive another way of cutting; documents by their
collection's ids, and where those are gone by their file names: a file was moved, or uploaded anew.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath

from filelock import FileLock, Timeout

from indexer.documents import Chunk
from indexer.errors import CollectionBusyError, UsageError
from indexer.evaluation.judged_queries import (
    JudgedPassage,
    JudgedQuery,
    passage_key,
    qrels_text,
    queries_text,
    query_id,
    query_text,
    read_queries,
)
from indexer.evaluation.judgements import Judgements
from indexer.storage.segments import disk_errors, sync_folder
from indexer.stores.base import DocumentRecord

__all__ = ["FOLDER", "QRELS_FILE", "QUERIES_FILE", "JudgementBook"]

FOLDER = "judgements"
"""Name of the folder inside a collection's directory."""

QUERIES_FILE, QRELS_FILE = "queries.jsonl", "qrels/test.tsv"
_LOCK = ".lock"
_PATIENCE_S = 10.0


class JudgementBook:
    """The judgements of one collection; safe between threads and processes.

    Args:
        directory: the collection's directory, which must be there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.folder = directory / FOLDER

    def queries(self) -> tuple[JudgedQuery, ...]:
        """Return everything that was judged, in the order in which queries were first judged.

        Raises:
            StorageError: the file cannot be read; the message names the line.
        """
        return read_queries(self.folder / QUERIES_FILE)

    def query(self, text: str) -> JudgedQuery | None:
        """Return what was judged for a query, whatever the white space in it."""
        wanted = query_id(query_text(text))
        return next((one for one in self.queries() if one.id == wanted), None)

    def find(self, name: str) -> JudgedQuery | None:
        """Return a judged query by its id or its text."""
        wanted = {name, query_id(query_text(name))}
        return next((one for one in self.queries() if one.id in wanted), None)

    def judge(
        self, query: str, document: DocumentRecord, chunk: Chunk | None, grade: int | None
    ) -> None:
        """Note what a user says of a passage; when this returns, a power cut does not lose it.

        Args:
            query: the query as typed.
            document: what was found.
            chunk: the passage of it; None for the whole document.
            grade: 0 for not relevant, above that for relevant; None takes back what was said.

        Raises:
            UsageError: the query is empty, or the grade is negative.
            CollectionBusyError: another process holds the file for too long.
            StorageError: it cannot be written; what was there before is untouched.
        """
        if grade is not None and grade < 0:
            raise UsageError(f"the grade is {grade}; 0 stands for not relevant, above is relevant")
        said = JudgedPassage(
            document=document.id,
            source=document.source,
            passage="" if chunk is None else passage_key(chunk),
            grade=grade or 0,
            judged_at=time.time(),
        )
        self._merge(query, [said], is_taken_back=grade is None)

    def add(self, judgements: Judgements, documents: Iterable[DocumentRecord]) -> int:
        """Take in judgements of whole documents; return how many.

        Args:
            judgements: of documents of the collection.
            documents: those of the collection.

        Raises:
            CollectionBusyError, StorageError: as for ``judge``.
        """
        sources = {one.id: one.source for one in documents}
        now = time.time()
        with self._writing() as known:
            for query, text in judgements.queries.items():
                said = [
                    JudgedPassage(document, sources[document], "", max(grade, 0), now)
                    for document, grade in judgements.qrels[query].items()
                ]
                _put(known, text, said)
        return sum(map(len, judgements.qrels.values()))

    def take_over(self, queries: Iterable[JudgedQuery]) -> None:
        """Take in judged queries of another book, in place of what was said for the same ones.

        Raises:
            UsageError: a query is empty.
            CollectionBusyError, StorageError: as for ``judge``.
        """
        with self._writing() as known:
            for one in queries:
                text = query_text(one.text)
                known[query_id(text)] = replace(one, id=query_id(text), text=text)

    def forget(self, query: str) -> bool:
        """Take back everything that was said for a query, by its text or id; False if nothing was.

        Raises:
            CollectionBusyError, StorageError: as for ``judge``.
        """
        with self._writing() as known:
            found = {query, query_id(query_text(query))} & known.keys()
            for one in found:
                del known[one]
        return bool(found)

    def judgements(self, documents: Iterable[DocumentRecord]) -> tuple[Judgements, int]:
        """Return the judgements of documents that are there, and how many are of others.

        Queries without a relevant document are left out: nothing can be measured by them.

        Args:
            documents: those of the collection.

        Raises:
            StorageError: as for ``queries``.
        """
        found = _Present(documents)
        texts: dict[str, str] = {}
        qrels: dict[str, Mapping[str, int]] = {}
        missing = 0
        for query in self.queries():
            grades, lost = found.grades(query)
            missing += lost
            if any(grade > 0 for grade in grades.values()):
                texts[query.id], qrels[query.id] = query.text, grades
        return Judgements(self._directory.name, texts, qrels), missing

    def _merge(self, query: str, said: list[JudgedPassage], *, is_taken_back: bool) -> None:
        with self._writing() as known:
            _put(known, query, said, is_taken_back=is_taken_back)

    @contextmanager
    def _writing(self) -> Iterator[dict[str, JudgedQuery]]:
        """Give all queries by id, to be changed, and write them down when the block ends."""
        with disk_errors(self.folder, needed=0):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            (self.folder / QRELS_FILE).parent.mkdir(exist_ok=True)
        with _locked(self.folder / _LOCK, self._directory.name):
            known = {one.id: one for one in self.queries()}
            yield known
            # The queries first: they are what counts, and the grades can be made from them.
            _replace(self.folder / QUERIES_FILE, queries_text(known.values()))
            _replace(self.folder / QRELS_FILE, qrels_text(known.values()))


class _Present:
    """Finds the documents that are there by what they were when they were judged."""

    def __init__(self, documents: Iterable[DocumentRecord]) -> None:
        self._ids: set[str] = set()
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        for one in documents:
            self._ids.add(one.id)
            self._by_name[PurePath(one.source).name].append(one.id)

    def grades(self, query: JudgedQuery) -> tuple[dict[str, int], int]:
        """Return the grades of a query's documents, and how many of them are gone."""
        sources = {one.document: one.source for one in query.passages}
        grades: dict[str, int] = {}
        missing = 0
        for document, grade in query.grades.items():
            here = document if document in self._ids else self._moved(sources[document])
            if here is None:
                missing += 1
            else:
                grades[here] = max(grade, grades.get(here, grade))
        return grades, missing

    def _moved(self, source: str) -> str | None:
        named = self._by_name.get(PurePath(source).name, [])
        return named[0] if len(named) == 1 else None


def _put(
    known: dict[str, JudgedQuery],
    text: str,
    said: list[JudgedPassage],
    *,
    is_taken_back: bool = False,
) -> None:
    text = query_text(text)
    before = known.get(query_id(text), JudgedQuery(query_id(text), text, ()))
    places = {(one.document, one.passage) for one in said}
    kept = tuple(one for one in before.passages if (one.document, one.passage) not in places)
    after = replace(before, passages=kept if is_taken_back else (*kept, *said))
    if after.passages:
        known[after.id] = after
    else:
        known.pop(after.id, None)


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    lock = FileLock(path, timeout=_PATIENCE_S, fallback_to_soft=False)
    with disk_errors(path, needed=0):
        try:
            lock.acquire()  # an object of its own, so that threads wait for each other as well
        except Timeout:
            raise CollectionBusyError(
                f"the judgements of {name!r} have been held by another process for "
                f"{_PATIENCE_S:.0f} s; try again"
            ) from None
    try:
        yield
    finally:
        lock.release()


def _replace(path: Path, text: str) -> None:
    """Put a text in the place of a file in one step that survives a power cut."""
    content = text.encode("utf-8")
    draft = path.with_name(f"{path.name}.new")
    with disk_errors(path, needed=len(content)):
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)
