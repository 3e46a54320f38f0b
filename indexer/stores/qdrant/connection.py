"""One connection to Qdrant: requests that are tried again where that may help, errors in words.

Knows nothing of what is asked. It talks to the configured address and to nothing else.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from indexer.errors import StorageError, StoreUnreachableError
from indexer.stores.qdrant.folder import LocalFolder, open_folder
from indexer.stores.qdrant.settings import API_KEY_VARIABLE, QdrantSettings, read_api_key

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["Connection"]

_T = TypeVar("_T")

_TRANSIENT_STATUS = frozenset({408, 429, 502, 503, 504})
_TRANSIENT_GRPC = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})
_WRITE_ATTEMPTS, _READ_ATTEMPTS = 5, 3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0
_OLDEST_SERVER = (1, 16)  # metadata of collections

logger = logging.getLogger(__name__)


class Connection:
    """A server or a local folder; safe to share between threads. Connects on first use.

    Args:
        settings: where it is, and how long a request may take.

    Raises:
        StorageError: the settings name neither a server nor a folder.
    """

    def __init__(self, settings: QdrantSettings) -> None:
        if not settings.url and not settings.path:
            raise StorageError(
                "no Qdrant is configured: set qdrant.url (GIRCSE_QDRANT_URL) to a server's "
                "address, or qdrant.path to a folder for Qdrant's local mode"
            )
        self.settings = settings
        self._opening = threading.Lock()
        self._folder: LocalFolder | None = None
        self._client: QdrantClient | None = None

    @property
    def is_local(self) -> bool:
        """Whether this is a folder, where indexes and search parameters mean nothing."""
        return self.settings.is_local

    def read(self, what: str, request: Callable[[QdrantClient], _T]) -> _T:
        """Return what a request that changes nothing answers.

        Args:
            what: what is being done, as messages say it: ``"search"``.
            request: asks the client.

        Raises:
            StoreUnreachableError: nobody answered.
            CollectionBusyError: the local folder is open in another process.
            StorageError: the request was refused; the message has the reason.
        """
        return self._request(what, request, attempts=_READ_ATTEMPTS)

    def write(self, what: str, request: Callable[[QdrantClient], _T]) -> _T:
        """Return what a request answers that may be sent again; errors as for ``read``."""
        return self._request(what, request, attempts=_WRITE_ATTEMPTS)

    def close(self) -> None:
        """Close it; the next request opens it again. May be called twice."""
        with self._opening:
            folder, self._folder = self._folder, None
            client, self._client = self._client, None
        if folder is not None:
            folder.give_back()
        elif client is not None:
            client.close()

    def _request(self, what: str, request: Callable[[QdrantClient], _T], *, attempts: int) -> _T:
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, attempts + 1):
            try:
                return self._once(request)
            except Exception as error:
                explained = _explained(error, what, self.settings)
                if explained is None:
                    raise
                wait_s = _retry_after_s(error, pause_s)
                if wait_s is None or attempt == attempts:
                    raise explained from error
                logger.info("%s; trying again in %.1f s", explained, wait_s)
                time.sleep(min(wait_s, _LONGEST_PAUSE_S))
                pause_s *= 2
        raise AssertionError

    def _once(self, request: Callable[[QdrantClient], _T]) -> _T:
        if not self.settings.is_local:
            return request(self._server())
        folder = self._local()
        with folder.lock:
            return request(folder.client)

    def _local(self) -> LocalFolder:
        with self._opening:
            if self._folder is None:
                assert self.settings.path is not None
                self._folder = open_folder(self.settings.path)
            return self._folder

    def _server(self) -> QdrantClient:
        with self._opening:
            if self._client is None:
                client = _connect(self.settings)
                try:
                    _check_version(client, self.settings)
                except BaseException:
                    client.close()
                    raise
                self._client = client
            return self._client


def _connect(settings: QdrantSettings) -> QdrantClient:
    from qdrant_client import QdrantClient

    key = read_api_key(settings)
    if key and settings.is_insecure:
        logger.warning(
            "the API key travels to %s without encryption; use an https address", settings.url
        )
    return QdrantClient(
        url=settings.url,
        grpc_port=settings.grpc_port,
        prefer_grpc=settings.grpc,
        timeout=math.ceil(settings.timeout_s),
        # As a header: given as api_key, the client would choose https by itself.
        headers={"api-key": key} if key else None,
        check_compatibility=False,  # a thread of its own, which prints
    )


def _check_version(client: QdrantClient, settings: QdrantSettings) -> None:
    version = client.info().version
    try:
        found = tuple(int(part) for part in version.split(".")[:2])
    except ValueError:
        return
    if found < _OLDEST_SERVER:
        oldest = ".".join(map(str, _OLDEST_SERVER))
        raise StorageError(
            f"the Qdrant server at {settings.place} has version {version}; {oldest} or newer is "
            "needed: upgrade the server"
        )


def _retry_after_s(error: Exception, pause_s: float) -> float | None:
    """Return how long to wait before trying again; None where that would not help."""
    if (after_s := getattr(error, "retry_after_s", None)) is not None:
        return float(after_s)
    is_transient = (
        getattr(error, "status_code", None) in _TRANSIENT_STATUS
        or _grpc_code(error) in _TRANSIENT_GRPC
        or _is_broken_connection(error)
    )
    return pause_s if is_transient else None


def _is_broken_connection(error: Exception) -> bool:
    import httpx

    return isinstance(getattr(error, "source", error), httpx.TransportError)


def _grpc_code(error: Exception) -> str | None:
    code: Any = getattr(error, "code", None)
    return code().name if callable(code) and hasattr(error, "details") else None


def _explained(error: Exception, what: str, settings: QdrantSettings) -> StorageError | None:
    """Return what to raise instead; None for what is not Qdrant's doing."""
    place = f"Qdrant at {settings.place}"
    status, code = getattr(error, "status_code", None), _grpc_code(error)
    if status in (401, 403) or code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return StorageError(
            f"{place} refused the {what}: the API key is missing, wrong or may not do this; set "
            f"{API_KEY_VARIABLE}, or qdrant.api_key_file"
        )
    if _is_broken_connection(error) or code in _TRANSIENT_GRPC or status in _TRANSIENT_STATUS:
        return StoreUnreachableError(
            f"{place} did not answer the {what} ({_reason(error)}); check that the server runs and "
            "that the address is right, or raise qdrant.timeout_s"
        )
    is_answer = (
        status is not None or code is not None or type(error).__module__.startswith("qdrant")
    )
    if is_answer or (settings.is_local and isinstance(error, ValueError | RuntimeError)):
        return StorageError(f"{place} refused the {what}: {_reason(error)}")
    return None


def _reason(error: Exception) -> str:
    content = getattr(error, "content", None)
    if isinstance(content, bytes):
        try:
            return str(json.loads(content)["status"]["error"])[:500]
        except (ValueError, KeyError, TypeError):
            shown = content[:200].decode("utf-8", "replace")
            return f"status {getattr(error, 'status_code', None)}: {shown}"
    details: Any = getattr(error, "details", None)
    if callable(details):
        return str(details())[:500]
    source = getattr(error, "source", error)
    return f"{type(source).__name__}: {source}"[:500]
