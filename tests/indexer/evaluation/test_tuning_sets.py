"""Judged sets, searched for tuning by a real model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.embedder import Embedder
from indexer.evaluation import latency
from indexer.evaluation.beir import load_beir
from indexer.evaluation.tuning import tune
from indexer.evaluation.tuning_sets import judged_set
from indexer.evaluation.vectors import VectorFiles


def test_a_judged_set_is_searched_at_every_step_count(
    sample_set: Path, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "SAMPLE", 2)
    judged = load_beir(sample_set)
    phases = []

    found = judged_set(
        judged,
        VectorFiles(embedder, tmp_path),
        steps=(0, 2),
        on_progress=lambda progress: phases.append(progress.phase),
    )

    assert found.qrels == judged.qrels
    assert found.legs.keys() == found.latency_ms.keys() == {0, 2}
    assert min(found.latency_ms.values()) > 0.0
    assert "sample: searching" in phases
    texts = {document.id: document.full_text for document in judged.documents}
    for step, asked in found.legs.items():
        vector = embedder.embed_queries([asked[0].text], steps=step)[0]
        for document, cosine in list(asked[0].dense.items())[:5]:
            (passage,) = embedder.embed_documents([texts[document]], steps=step)
            assert cosine == pytest.approx(float(np.dot(vector, passage)), abs=1e-4)
    report = tune([found], steps=2)
    assert [one.steps for one in report.outcomes] == [0, 2]
    assert report.chosen.steps == 2
    # words do not depend on the steps
    assert report.outcomes[0].words == pytest.approx(report.outcomes[1].words, abs=0.02)
