"""What users say of hits, noted for the collection that was searched; knows no Streamlit."""

from __future__ import annotations

from app.errors import ReadOnlyError
from app.services import Services
from indexer.evaluation.judged_queries import passage_key
from indexer.evaluation.judgement_book import JudgementBook
from indexer.searching.results import Hit

__all__ = ["judge", "judged_as"]


def judged_as(services: Services, collection: str, query_text: str, hit: Hit) -> bool | None:
    """Return whether a hit was judged relevant to a query; None where nothing was said of it.

    Raises:
        IndexerError: the collection or its judgements cannot be read.
    """
    with services.collections.use(collection) as opened:
        known = JudgementBook(opened.directory).query(query_text)
    grade = None if known is None else known.grade_of(hit.document.id, passage_key(hit.chunk))
    return None if grade is None else grade > 0


def judge(
    services: Services, collection: str, query_text: str, hit: Hit, is_relevant: bool | None
) -> None:
    """Note what a user says of a hit; None takes back what was said.

    Raises:
        ReadOnlyError: the app changes nothing.
        IndexerError: it cannot be noted; the message says what to do.
    """
    if services.is_read_only:
        raise ReadOnlyError("This app is read-only: hits cannot be judged here.")
    with services.collections.use(collection) as opened:
        opened.check_alive()
        grade = None if is_relevant is None else int(is_relevant)
        JudgementBook(opened.directory).judge(query_text, hit.document, hit.chunk, grade)
