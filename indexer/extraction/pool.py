"""Reads many files at once, a few ahead of whoever takes the results."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Self

from indexer.errors import ExtractionError, UsageError
from indexer.extraction.process import WorkerStartError
from indexer.extraction.reader import Reader, ReaderClosedError, failed_result
from indexer.extraction.values import ExtractionLimits, ExtractionRequest, ExtractionResult
from indexer.indexing.chunking import ChunkingConfig

__all__ = ["ExtractionPool"]

_DEFAULT_LIMITS = ExtractionLimits()
_WAKE_S = 0.5
_LOOK_AHEAD = 2  # files under way or waiting to be taken, for each job


class ExtractionPool:
    """Reads files in ``jobs`` processes; a context manager.

    Args:
        tokenizer_file: the model's tokenizer, by which chunks are cut.
        jobs: how many files are read at once.
        chunking: how they are cut.
        limits: what reading one file may take.

    Raises:
        UsageError: ``jobs`` is less than one.
    """

    def __init__(
        self,
        tokenizer_file: Path,
        *,
        jobs: int,
        chunking: ChunkingConfig,
        limits: ExtractionLimits = _DEFAULT_LIMITS,
    ) -> None:
        if jobs < 1:
            raise UsageError(f"{jobs} jobs cannot read files: choose at least 1")
        self._jobs = jobs
        self._readers = [Reader(tokenizer_file, chunking.as_dict(), limits) for _ in range(jobs)]
        self._idle: queue.SimpleQueue[Reader] = queue.SimpleQueue()
        for reader in self._readers:
            self._idle.put(reader)
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="extraction")
        self._is_closed = False
        self._has_worked = False

    def extract(self, requests: Iterable[ExtractionRequest]) -> Iterator[ExtractionResult]:
        """Yield a result for every request, in the order in which they are finished.

        Requests are taken as they are needed, so that memory does not grow with their number. When
        the iterator is closed early, what is being read is given up; when the pool is closed by
        another thread, the iterator ends. One iteration at a time.

        Raises:
            WorkerStartError: not one reading process can be started.
        """
        pending: set[Future[ExtractionResult | None]] = set()
        remaining = iter(requests)
        try:
            while not self._is_closed:
                self._fill(pending, remaining)
                if not pending:
                    return
                # a future that is cancelled before it runs wakes nobody
                done, _ = wait(pending, timeout=_WAKE_S, return_when=FIRST_COMPLETED)
                for future in done:
                    pending.discard(future)
                    result = future.result()
                    if result is None:
                        return  # the pool was closed
                    yield result
        finally:
            self._give_up(pending)

    def close(self) -> None:
        """Give up what is being read and end all processes; may be called again."""
        self._is_closed = True
        for reader in self._readers:
            reader.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for reader in self._readers:
            reader.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _fill(
        self,
        pending: set[Future[ExtractionResult | None]],
        remaining: Iterator[ExtractionRequest],
    ) -> None:
        while len(pending) < _LOOK_AHEAD * self._jobs:
            request = next(remaining, None)
            if request is None:
                return
            try:
                pending.add(self._threads.submit(self._read, request))
            except RuntimeError:
                if not self._is_closed:
                    raise
                return

    def _read(self, request: ExtractionRequest) -> ExtractionResult | None:
        """Read a file; None when the pool was closed."""
        reader = self._idle.get()
        begun = time.monotonic()
        try:
            result = reader.read(request)
            self._has_worked = True
            return result
        except ReaderClosedError:
            return None
        except (WorkerStartError, OSError) as error:
            # at first it is the installation, later the state of the machine
            if not self._has_worked:
                raise
            fault = ExtractionError(
                "crashed",
                f"the reading process could not be started again: {error}",
                hint="free some memory or read fewer files at once, then index again",
            )
            return failed_result(request, fault, seconds=time.monotonic() - begun)
        finally:
            self._idle.put(reader)

    def _give_up(self, pending: set[Future[ExtractionResult | None]]) -> None:
        running = {future for future in pending if not future.cancel()}
        while running:
            # again and again, because a worker may just be starting
            for reader in self._readers:
                reader.interrupt()
            running = wait(running, timeout=_WAKE_S / 10).not_done
