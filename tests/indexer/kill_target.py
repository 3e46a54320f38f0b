"""A run over a folder that can be killed: ``python -m tests.indexer.kill_target HOME FILES LOG``.

Says ``started`` when the work begins, and appends what the model reads to LOG, call by call.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from indexer.collections.library import Library
from indexer.documents import text_hash
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.indexer.fake_model import FakeEmbedder, FakeModel
from tests.indexer.opening import open_or_create

SECONDS_PER_TEXT = 0.002


class LoggingEmbedder(FakeEmbedder):
    def __init__(self, info: FakeModel, log: Path) -> None:
        super().__init__(info, seconds_per_text=SECONDS_PER_TEXT)
        self.log = log

    def embed_documents(self, texts: Sequence[str], *, steps: int | None = None) -> np.ndarray:
        line = json.dumps([os.getpid(), [text_hash(text).hex() for text in texts]]) + "\n"
        with self.log.open("ab", buffering=0) as file:
            file.write(line.encode())
        return super().embed_documents(texts, steps=steps)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    home, files, log = map(Path, sys.argv[1:])
    model = FakeModel(home.parent / "tokenizer.json")
    library = Library(home, resolve=lambda name: model)
    say("started")
    with open_or_create(library, "docs", model) as collection:
        report = index_paths(
            collection,
            [files],
            embedder=lambda: LoggingEmbedder(model, log),
            options=IndexOptions(jobs=2, prune=True),
        )
    say(report.summary())


if __name__ == "__main__":
    main()
