"""A server that speaks Qdrant's REST on a loopback port, over the client's own local mode.

Not Qdrant, and no proof of how Qdrant searches: it lets the whole way over the wire be tested where
no server is at hand, several processes at once included, and faults be forced. It is as strict as a
server in what it takes: no filter on a field without an index, no request above 32 MiB, no key but
its own. Stricter even in one thing: it refuses writes that do not wait, for a server acknowledges
such points and may drop them afterwards.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import BaseModel, TypeAdapter
from qdrant_client import QdrantClient, models

MAX_REQUEST_BYTES = 32 * 1024 * 1024
WRITES = re.compile(
    r"PUT .*/(points|index)|(PUT|POST|DELETE) .*/points/(batch|delete|payload(/delete)?|vectors)"
)
DONE = {"operation_id": 0, "status": "completed"}


class RestServer:
    """Answers on ``url`` until closed.

    Attributes:
        faults: statuses that the next requests are answered with, instead of doing anything;
            0 cuts the connection.
        statuses: of collections that have a graph, as the next looks at them show it.
        key: what ``api-key`` has to be; empty for none.
        requests: method and path of everything that was asked.
        largest: bytes of the largest request.
        alias_changes: how many actions each change of aliases had.
    """

    def __init__(self) -> None:
        self.faults: deque[int] = deque()
        self.statuses: deque[str] = deque()
        self.key = ""
        self.version = "1.17.1"
        self.requests: list[str] = []
        self.largest = 0
        self.alias_changes: list[int] = []
        self.created: dict[str, dict[str, Any]] = {}
        self.indexed: defaultdict[str, set[str]] = defaultdict(set)
        self.client = QdrantClient(":memory:")
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.client.close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path, _, query = self.path.partition("?")
                server.requests.append(f"{self.command} {path}")
                server.largest = max(server.largest, len(body))
                fault = server.faults.popleft() if server.faults else None
                if fault == 0:
                    self.connection.close()
                    return
                if fault is not None:
                    self._answer(fault, {"status": {"error": f"forced fault {fault}"}})
                elif refusal := server.refusal(
                    f"{self.command} {path}", query, self.headers.get("api-key"), len(body)
                ):
                    self._answer(refusal[0], {"status": {"error": refusal[1]}})
                else:
                    self._try(path, json.loads(body) if body else {})

            def _try(self, path: str, body: dict[str, Any]) -> None:
                started = time.monotonic()
                try:
                    with server._lock:
                        result = server.answer(self.command, path, body)
                except (KeyError, ValueError) as error:
                    self._answer(400, {"status": {"error": f"Wrong input: {error}"}})
                    return
                answer = {"result": result, "status": "ok", "time": time.monotonic() - started}
                self._answer(200, answer if path != "/" else result)

            def _answer(self, status: int, values: Any) -> None:
                content = json.dumps(values).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

        return Handler

    def refusal(
        self, request: str, query: str, key: str | None, size: int
    ) -> tuple[int, str] | None:
        if self.key and key != self.key:
            return 401, "Must provide an API key"
        if size > MAX_REQUEST_BYTES:
            return 413, "Payload reached size limit"
        if WRITES.fullmatch(request) and "wait=true" not in query:
            return 400, "the write does not wait"
        return None

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        if path == "/":
            return {"title": "qdrant", "version": self.version}
        if path == "/aliases":
            return plain(self.client.get_aliases())
        if path == "/collections/aliases":
            operations = parsed(models.ChangeAliasesOperation, body).actions
            self.alias_changes.append(len(operations))
            return self.client.update_collection_aliases(operations)
        match = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
        assert match is not None, path
        name, rest = match[1], match[2] or ""
        if not rest:
            return self._collection(method, name, body)
        if rest == "/exists":
            return {"exists": self.client.collection_exists(name)}
        if rest == "/index":
            self.indexed[name].add(body["field_name"])
            return DONE
        return self._points(method, self._real(name), rest, body)

    def _real(self, name: str) -> str:
        aliases = {one.alias_name: one.collection_name for one in self.client.get_aliases().aliases}
        return aliases.get(name, name)

    def _collection(self, method: str, name: str, body: dict[str, Any]) -> Any:
        if method == "PUT":
            asked = parsed(models.CreateCollection, body)
            self.created[name] = body
            return self.client.create_collection(
                name,
                vectors_config=asked.vectors or {},
                sparse_vectors_config=asked.sparse_vectors,
                metadata=asked.metadata,
            )
        if method == "DELETE":
            return self.client.delete_collection(name)
        if method == "PATCH":
            for vector, changes in body.get("vectors", {}).items():
                self.created[name]["vectors"][vector].update(changes)
            return True
        found = plain(self.client.get_collection(name))
        if (created := self.created.get(self._real(name))) is not None:
            found["config"]["params"]["vectors"] = created["vectors"]
        graph = found["config"]["params"]["vectors"].get("dense", {}).get("hnsw_config", {})
        if self.statuses and graph.get("m"):
            found["status"] = self.statuses.popleft()
        return found

    def _points(self, method: str, name: str, rest: str, body: dict[str, Any]) -> Any:
        for key in filtered_fields(body):
            if key not in self.indexed[name]:
                raise ValueError(f"Index required but not found for {key!r}")
        if rest == "/points" and method == "PUT":
            points = parsed(models.PointsList, body).points
            return plain(self.client.upsert(name, points))
        if rest == "/points":
            asked = parsed(models.PointRequest, body)
            return plain(
                self.client.retrieve(
                    name,
                    asked.ids,
                    with_payload=asked.with_payload,
                    with_vectors=asked.with_vector or False,
                )
            )
        if rest == "/points/batch":
            operations = parsed(models.UpdateOperations, body).operations
            self.client.batch_update_points(name, operations)
            return [DONE] * len(operations)
        if rest == "/points/count":
            return plain(self.client.count(name, parsed(models.CountRequest, body).filter))
        if rest == "/points/scroll":
            return self._scrolled(name, parsed(models.ScrollRequest, body))
        if rest == "/points/query":
            return plain(self._queried(name, [parsed(models.QueryRequest, body)])[0])
        if rest == "/points/query/batch":
            return plain(self._queried(name, parsed(models.QueryRequestBatch, body).searches))
        raise KeyError(rest)

    def _scrolled(self, name: str, asked: models.ScrollRequest) -> Any:
        points, following = self.client.scroll(
            name,
            scroll_filter=asked.filter,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=asked.with_payload if asked.with_payload is not None else True,
            with_vectors=asked.with_vector or False,
        )
        return {"points": plain(points), "next_page_offset": following}

    def _queried(self, name: str, requests: list[models.QueryRequest]) -> Any:
        exact = [request.model_copy(update={"params": None}) for request in requests]
        return self.client.query_batch_points(name, exact)


def filtered_fields(values: Any) -> Iterator[str]:
    """Yield the payload fields of all conditions anywhere in a request."""
    if isinstance(values, dict):
        if "key" in values and ("match" in values or "range" in values):
            yield values["key"]
        for name, value in values.items():
            if name not in ("payload", "points"):
                yield from filtered_fields(value)
    elif isinstance(values, list):
        for value in values:
            yield from filtered_fields(value)


def parsed(kind: type[BaseModel], body: dict[str, Any]) -> Any:
    return TypeAdapter(kind).validate_python(body)


def plain(value: Any) -> Any:
    return TypeAdapter(type(value)).dump_python(value, mode="json") if value is not None else None


@contextmanager
def serving() -> Iterator[RestServer]:
    server = RestServer()
    try:
        yield server
    finally:
        server.close()
