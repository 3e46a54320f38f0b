"""Visits the search page without a browser: Streamlit's own messages over its websocket.

Nothing is drawn, so that one process can be many visitors; the app cannot tell them from browsers
whose cache is empty.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

PATIENCE_S = 120.0
_HIT = '<article class="gs-hit'
_UNFINISHED = (
    ForwardMsg.FINISHED_EARLY_FOR_RERUN,  # the next run follows at once
    ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
)


class VisitError(Exception):
    """The page did not do what its visitor came for."""


@dataclass
class Drawn:
    """What one run of the page's script has drawn.

    Args:
        started: when it was asked for.
        elements: by their place in the page.
        first_hits_s: seconds until the first hit was there; 0 where none came.
        refined_s: seconds until the last change of the hits; 0 where none came.
        finished_s: seconds until all was drawn.
    """

    started: float
    elements: dict[tuple[int, ...], Element] = field(default_factory=dict)
    first_hits_s: float = 0.0
    refined_s: float = 0.0
    finished_s: float = 0.0

    def take(self, message: ForwardMsg) -> None:
        """Put an element into its place."""
        element = message.delta.new_element
        if _HIT in element.html.body:
            self.refined_s = time.perf_counter() - self.started
            self.first_hits_s = self.first_hits_s or self.refined_s
        self.elements[tuple(message.metadata.delta_path)] = element

    def hits(self) -> int:
        """Return how many hits are shown."""
        return sum(_HIT in element.html.body for element in self.elements.values())

    def check(self) -> None:
        """Raise what the page complains of."""
        for element in self.elements.values():
            if element.HasField("exception"):
                raise VisitError(f"{element.exception.type}: {element.exception.message}")
            if element.HasField("alert") and element.alert.format == Alert.ERROR:
                raise VisitError(element.alert.body)


class Visitor:
    """One session of the app.

    Args:
        socket: to the app.
        collection: that is searched.
    """

    def __init__(self, socket: ClientConnection, collection: str) -> None:
        self._socket = socket
        self._collection = collection
        self._page = ""
        self._box = ""

    async def open(self) -> None:
        """Open the search page."""
        drawn = await self._run("", [])
        boxes = [element.text_input for element in drawn.elements.values()]
        self._box = next((box.id for box in boxes if box.query_param_key == "q"), "")
        if not self._box:
            raise VisitError("there is no box for a question in the page")

    async def search(self, question: str) -> Drawn:
        """Put a question into the box, and wait until its answer is drawn."""
        drawn = await self._run(question, [WidgetState(id=self._box, string_value=question)])
        if not drawn.hits():
            raise VisitError(f"no hits for {question!r}")
        return drawn

    async def _run(self, question: str, widgets: list[WidgetState]) -> Drawn:
        asked = BackMsg()
        state = asked.rerun_script
        address = {"collection": self._collection} | ({"q": question} if question else {})
        state.query_string = urlencode(address)
        state.page_script_hash = self._page
        state.widget_states.widgets.extend(widgets)
        drawn = Drawn(time.perf_counter())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._socket.send(asked.SerializeToString())
                await self._watch(drawn)
        except TimeoutError:
            raise VisitError(f"not drawn within {PATIENCE_S:.0f} s") from None
        except ConnectionClosed as error:
            raise VisitError(f"the app hung up: {error}") from error
        drawn.check()
        return drawn

    async def _watch(self, drawn: Drawn) -> None:
        """Take in what is drawn until the script has run to its end."""
        while True:
            message = ForwardMsg.FromString(await self._socket.recv(decode=False))
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self._page = message.new_session.page_script_hash
                drawn.elements.clear()
            elif kind == "delta" and message.delta.HasField("new_element"):
                drawn.take(message)
            elif kind == "script_finished" and message.script_finished not in _UNFINISHED:
                drawn.finished_s = time.perf_counter() - drawn.started
                if message.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
                    raise VisitError("the page's script does not compile")
                return


@asynccontextmanager
async def visit(url: str, collection: str) -> AsyncIterator[Visitor]:
    """Open the search page of an app, until the block ends."""
    address = url.replace("http://", "ws://") + "/_stcore/stream"
    try:
        socket = await connect(
            address, subprotocols=["streamlit"], proxy=None, max_size=None, open_timeout=PATIENCE_S
        )
    except (OSError, TimeoutError, WebSocketException) as error:
        raise VisitError(f"the app does not answer: {error}") from error
    async with socket:
        visitor = Visitor(socket, collection)
        await visitor.open()
        yield visitor
