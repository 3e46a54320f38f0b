"""A home of the test's own, the command in this process, and a model that costs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from indexer import embedder, settings
from indexer.cli import app

WORD = re.compile(r"\w+")


@dataclass
class WordEmbedder:
    """Stands in for a model: texts that share words are close. Counts what it is asked."""

    info: embedder.ModelInfo
    documents: int = 0
    queries: int = 0

    def embed_queries(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        self.queries += len(texts)
        return self._embed(texts)

    def embed_documents(
        self, texts: Sequence[str], *, steps: int | None = None
    ) -> NDArray[np.float32]:
        self.documents += len(texts)
        return self._embed(texts)

    def refine(self, text: str, *, max_steps: int) -> Iterator[Step]:
        self.queries += 1
        for step in range(self.info.min_steps, max_steps + 1):
            yield Step(step, self._embed([text])[0])

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), self.info.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[0] = 0.1  # a text without words still has a direction
            for word in WORD.findall(text.lower()):
                digest = hashlib.sha256(word.encode()).digest()
                row[int.from_bytes(digest[:4], "big") % len(row)] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@dataclass(frozen=True)
class Step:
    """One step of ``WordEmbedder.refine``."""

    step: int
    vector: NDArray[np.float32]
    seconds: float = 0.0
    words: tuple[tuple[str, float], ...] = ()


@dataclass
class Gircse:
    """Runs the command in this process, on a home of its own."""

    home: Path
    embedder: WordEmbedder
    runner: CliRunner = field(default_factory=CliRunner)

    def __call__(self, *args: object, input: str | None = None) -> Result:
        return self.runner.invoke(app, [str(arg) for arg in args], input=input, prog_name="gircse")

    def ok(self, *args: object) -> str:
        """Run a command that has to work, and return its stdout."""
        result = self(*args)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *args: object) -> object:
        """Run a command that has to work, and return the JSON on its stdout."""
        return json.loads(self.ok(*args, "--format", "json"))


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GIRCSE_"):
            monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("GIRCSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config.toml")


@pytest.fixture
def gircse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gircse:
    double = WordEmbedder(embedder.model_info("gircse-minilm"))
    monkeypatch.setattr(embedder, "load_embedder", lambda *args, **kwargs: double)
    return Gircse(tmp_path / "home", double)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Three small documents on three subjects."""
    folder = tmp_path / "notes"
    (folder / "garden").mkdir(parents=True)
    (folder / "bread.md").write_text(
        "# Bread\n\n## Dough\n\nMix flour with water and let the dough rest for an hour.\n\n"
        "## Oven\n\nBake the loaf until its crust is brown.\n",
        encoding="utf-8",
    )
    (folder / "passport.txt").write_text(
        "Renew a passport at the town hall. Bring a photograph and the old passport.\n",
        encoding="utf-8",
    )
    (folder / "garden" / "tomatoes.md").write_text(
        "# Tomatoes\n\nPlant tomatoes after the last frost and water them in the morning.\n",
        encoding="utf-8",
    )
    return folder
