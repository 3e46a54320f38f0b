"""A search as the page makes it, without what is drawn on the way."""

from __future__ import annotations

from app.searching.query import Answer, Query, refine
from app.services import Services


def ask(services: Services, query: Query) -> Answer:
    """Return the last answer."""
    *_, last = refine(services, query)
    return last
