"""A process that changes a collection and kills itself before the request of a given number."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from indexer.stores.qdrant.connection import Connection
from indexer.stores.qdrant.settings import QdrantSettings
from indexer.stores.qdrant.store import QdrantStore
from tests.indexer.stores.content import Opened, open_store


def change(opened: Opened, round_number: int) -> None:
    """Add, replace and delete; every round leaves other texts."""
    opened.add("a", [f"text {round_number} {part}" for part in range(3)])
    opened.add("kept", ["first", f"other {round_number}"])
    opened.delete(f"b{round_number - 1}")
    opened.add(f"b{round_number}", [f"more {round_number}"])
    opened.store.flush()


def main() -> None:
    directory, url, name, fatal = sys.argv[1:]
    left = int(fatal)
    write = Connection.write

    def counted(self, what, request):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return write(self, what, request)

    opened = open_store("faiss", Path(directory))
    opened.store = QdrantStore(opened.database, opened.archive, QdrantSettings(url=url), name)
    opened.add("kept", ["first", "second"])
    opened.store.flush()
    Connection.write = counted  # what comes now is killed somewhere
    change(opened, int(fatal))
    opened.close()


if __name__ == "__main__":
    main()
