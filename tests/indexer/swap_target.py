"""Swaps and rolls back until it is killed: ``python -m tests.indexer.swap_target HOME SEED``.

Says how many seconds each change took.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from indexer.collections.collection import Collection
from indexer.collections.generations import read_generations, sweep
from indexer.collections.rollback import roll_back
from tests.indexer.generation_making import (
    MAX_EDITION,
    draft_content,
    draft_index,
    open_library,
    swap,
)


def change(collection: Collection, choice: random.Random) -> None:
    """Make one change of the live generation, of a kind drawn by lot."""
    kind = choice.choice(["index", "content", "rollback", "rollback"])
    if kind == "index":
        swap(collection, draft_index(collection))
    elif kind == "content" or read_generations(collection.directory).previous is None:
        swap(collection, draft_content(collection, choice.randint(0, MAX_EDITION)))
    else:
        roll_back(collection.directory)


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    home, seed = Path(sys.argv[1]), int(sys.argv[2])
    choice = random.Random(seed)
    with open_library(home).open("docs") as collection:
        sweep(collection.directory)  # what the one before was killed at
        say("started")
        while True:
            begun = time.monotonic()
            change(collection, choice)
            say(str(time.monotonic() - begun))


if __name__ == "__main__":
    main()
