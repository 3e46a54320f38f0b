"""A run on Ray that can be interrupted: ``python -m`` this module, with HOME and FILES.

Says ``started`` when the work begins. One text in a file kills whichever process embeds it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from indexer.cli.interrupt import StopOnSignal
from indexer.cli.terminal import Terminal
from indexer.collections.library import Library
from indexer.distributed.cluster import RayCluster
from indexer.distributed.engine import RayEngine
from indexer.distributed.work import ClusterModel
from indexer.indexing.index_report import IndexOptions
from tests.indexer.distributed.in_process import tokenizer_of
from tests.indexer.fake_model import FakeEmbedder, FakeModel
from tests.indexer.opening import open_or_create

SECONDS_PER_TEXT = 0.05
DEADLY = "Whoever reads this sentence dies."


class DeadlyEmbedder(FakeEmbedder):
    def embed_documents(self, texts: Sequence[str], *, steps: int | None = None) -> np.ndarray:
        if any(DEADLY in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_documents(texts, steps=steps)


def deadly_model(model: FakeModel, *, seconds_per_text: float = 0.0) -> ClusterModel:
    load = partial(DeadlyEmbedder, model, seconds_per_text=seconds_per_text)
    return ClusterModel(partial(tokenizer_of, model), load)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    home, files = map(Path, sys.argv[1:])
    model = FakeModel(home.parent / "tokenizer.json")
    library = Library(home, resolve=lambda name: model)
    say("started")
    with (
        StopOnSignal(Terminal()) as stop,
        open_or_create(library, "docs", model) as collection,
        RayCluster(cpus=2) as cluster,
    ):
        engine = RayEngine(
            collection,
            cluster,
            model=deadly_model(model, seconds_per_text=SECONDS_PER_TEXT),
            jobs=1,
            on_note=say,
        )
        report = engine.index([files], options=IndexOptions(), should_stop=lambda: stop.requested)
    say(f"{report.summary()}; interrupted: {report.interrupted}")


if __name__ == "__main__":
    main()
