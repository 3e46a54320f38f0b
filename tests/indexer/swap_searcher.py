"""Searches without pause and checks every answer: ``python -m tests.indexer.swap_searcher HOME``.

Two threads, until stdin is closed; then says what was seen, as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from indexer.collections.collection import Collection
from tests.indexer.generation_making import REQUESTS, QueryEmbedder, check_answer, open_library


class Searching:
    """Threads that search one open collection until they are told to stop."""

    def __init__(self, collection: Collection, threads: int) -> None:
        embedder = QueryEmbedder(collection.model_info())
        self._searcher = collection.searcher(lambda: embedder)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.searches = 0
        self.generations: set[int] = set()
        self.editions: set[int] = set()
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Stop the threads; raise what went wrong in one of them."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        if self.errors:
            raise self.errors[0]

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait until something was seen."""
        while not reached() and not self.errors:
            self._stopping.wait(0.005)

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                for request in REQUESTS:
                    result = self._searcher.search(request)
                    edition = check_answer(result)
                    with self._lock:
                        self.searches += 1
                        self.editions.add(edition)
                        assert result.generation is not None
                        self.generations.add(result.generation)
        except BaseException as error:
            self.errors.append(error)


def main() -> None:
    with open_library(Path(sys.argv[1])).open("docs") as collection:
        searching = Searching(collection, threads=2)
        searching.wait(lambda: searching.searches > 0)
        sys.stdout.write("started\n")
        sys.stdout.flush()
        sys.stdin.read()
        searching.finish()
    seen = {"searches": searching.searches, "generations": sorted(searching.generations)}
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main()
