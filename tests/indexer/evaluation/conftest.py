"""A judged set from the sample corpus, and a tiny model that can refine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from indexer import settings
from indexer.embedder import Embedder, load_embedder
from tests.gircse_core import models

SAMPLE = Path(__file__).parents[3] / "data" / "sample"


def write_set(folder: Path, corpus, queries, qrels) -> Path:
    """Write a set: (id, title, text), (id, text) and (query, document, grade) each."""
    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for identifier, title, text in corpus:
            file.write(json.dumps({"_id": identifier, "title": title, "text": text}) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for identifier, text in queries:
            file.write(json.dumps({"_id": identifier, "text": text}) + "\n")
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, line)) for line in qrels)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_sample_set(folder: Path, *, queries: int = 60) -> Path:
    """Write the Markdown and text files of the sample corpus with their judged queries."""
    documents = SAMPLE / "documents"
    corpus = []
    for file in sorted([*documents.rglob("*.md"), *documents.rglob("*.txt")]):
        title, _, text = file.read_text(encoding="utf-8").partition("\n")
        corpus.append((file.relative_to(documents).as_posix(), title.lstrip("# "), text))
    known = {identifier for identifier, _, _ in corpus}
    lines = (SAMPLE / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    judged = [line.split("\t") for line in lines]
    qrels = [line for line in judged if line[1] in known]
    asked = dict.fromkeys(query for query, _, _ in qrels)
    texts = {}
    for line in (SAMPLE / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        texts[record["_id"]] = record["text"]
    chosen = list(asked)[:queries]
    return write_set(
        folder,
        corpus,
        [(query, texts[query]) for query in chosen],
        [line for line in qrels if line[0] in chosen],
    )


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIRCSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("GIRCSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config.toml")


@pytest.fixture(scope="session")
def sample_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample_set(tmp_path_factory.mktemp("sets") / "sample")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random prefix encoder of width 32 with a random adapter."""
    root = tmp_path_factory.mktemp("tiny")
    base = models.write_encoder(root / "encoder")
    adapter = models.random_adapter(layers=3, hidden=32, inner=64)
    return models.write_prefix_model(root / "model", base, adapter)


@pytest.fixture(scope="session")
def embedder(tiny_model: Path) -> Embedder:
    return load_embedder(str(tiny_model), device="cpu", dtype="float32")
