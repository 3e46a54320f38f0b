"""A rebuild that can be killed: ``python -m tests.indexer.reindexing.kill_target FOLDER JSON``.

Says ``started`` when the work begins, and what became of it at the end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from indexer.reindexing.request import ReindexRequest
from indexer.reindexing.run import reindex
from tests.indexer.reindexing.rebuilds import Bench


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    bench = Bench(Path(sys.argv[1]))
    bench.seconds_per_text = 0.004
    say("started")
    with bench.open() as collection:
        report = reindex(
            collection,
            ReindexRequest(**json.loads(sys.argv[2])),
            embedder=bench.embedder,
            resolve=bench.resolve,
        )
    say(f"{report.outcome} {len(bench.asked)}")


if __name__ == "__main__":
    main()
