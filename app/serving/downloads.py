"""Files that pages offer, each under an address that stays while the page is drawn again.

Streamlit's own download buttons that make their file when asked give it a new address at each run
of the page and forget the former one, so that a click in the middle of a run finds nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from indexer.errors import IndexerError

__all__ = ["Downloads", "Offer", "download_route"]

_PATH = "downloads"
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that may be downloaded.

    Args:
        name: that it is saved under.
        read: returns its bytes at the time of the download; may raise ``IndexerError``.
    """

    name: str
    read: Callable[[], bytes]


class Downloads:
    """What is on offer, each under a ticket that nobody can guess; who has the ticket may have it.

    Args:
        limit: tickets that are kept; the one that was not drawn for the longest time goes first.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._lock = Lock()
        self._tickets: OrderedDict[Hashable, str] = OrderedDict()
        self._offers: dict[str, Offer] = {}

    def offer(self, key: Hashable, offer: Offer) -> str:
        """Return where a file can be had, relative to the pages.

        Args:
            key: of the file; the same key keeps its address for as long as the app runs.
            offer: takes the place of what was offered under the key before.
        """
        with self._lock:
            ticket = self._tickets.setdefault(key, secrets.token_urlsafe(32))
            self._tickets.move_to_end(key)
            self._offers[ticket] = offer
            while len(self._tickets) > self._limit:
                del self._offers[self._tickets.popitem(last=False)[1]]
            return f"{_PATH}/{ticket}"

    def find(self, ticket: str) -> Offer | None:
        """Return what is offered under a ticket, if anything is."""
        with self._lock:
            return self._offers.get(ticket)


def download_route(downloads: Callable[[], Downloads]) -> Route:
    """Return the route under which files are handed out.

    Args:
        downloads: returns what is on offer; asked for at each request.
    """

    async def answer(request: Request) -> Response:
        offer = downloads().find(request.path_params["ticket"])
        if offer is None:
            return _refusal(
                404,
                "This download is not offered any more. Go back to the page that it was on, "
                "reload it and try again.",
            )
        try:
            content = await asyncio.to_thread(offer.read)
        except IndexerError as error:
            return _refusal(409, f"{offer.name} cannot be downloaded: {error}")
        name = quote(offer.name, safe="", errors="replace")
        return Response(
            content,
            # whatever it is: a page of a stranger's is never opened as one of the app's
            media_type="application/octet-stream",
            headers={**_HEADERS, "content-disposition": f"attachment; filename*=UTF-8''{name}"},
        )

    return Route(f"/{_PATH}/{{ticket}}", answer)


def _refusal(status: int, sentence: str) -> Response:
    return PlainTextResponse(sentence, status, headers=_HEADERS)
