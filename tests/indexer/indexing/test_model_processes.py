"""The model in processes of its own gives what it gives in this one."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexer.embedder import ModelError, load_embedder
from indexer.indexing.model_processes import ModelProcessError, ModelProcesses

TEXTS = [f"Sentence number {n} is about {'bread' if n % 2 else 'ships'}." for n in range(12)]


@pytest.mark.slow
def test_several_processes_embed_as_one_does():
    expected = load_embedder("gircse-minilm", device="cpu").embed_documents(TEXTS, steps=2)
    with ModelProcesses("gircse-minilm", ["cpu", "cpu"], batch_tokens=64) as model:
        with ThreadPoolExecutor(3) as threads:
            parts = [TEXTS[:5], TEXTS[5:6], TEXTS[6:]]
            found = list(threads.map(lambda part: model.embed_documents(part, steps=2), parts))
        found = np.concatenate(found)
        assert found.dtype == np.float32
        assert (found * expected).sum(axis=1).min() > 0.999

        with pytest.raises(ModelProcessError, match="cannot run 999 steps"):
            model.embed_documents(TEXTS, steps=999)
        assert model.embed_documents(TEXTS[:1], steps=0).shape == (1, 384)

        pids = [process._process.pid for process in model._processes]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ModelProcessError, match=r"for cpu was ended by signal 9.*--devices"):
            model.embed_documents(TEXTS, steps=0)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.slow
def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ModelProcessError, match="the model on cuda:63 failed"):
        ModelProcesses("gircse-minilm", ["cuda:63"])


def test_an_unknown_model_starts_no_process():
    with pytest.raises(ModelError):
        ModelProcesses("no-such-model", ["cpu", "cpu"])
