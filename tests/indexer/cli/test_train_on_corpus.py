"""gircse train --on-corpus, from documents to a search with the adapted model."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from indexer.cli import app
from indexer.collections.library import Library
from tests.gircse_core.models import write_encoder

MATERIALS = ["stone", "wood", "rope", "steel", "iron", "brick", "glass", "clay"]


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for material in MATERIALS:
        (folder / f"{material}.md").write_text(
            f"# Bridges of {material}\n\n## Building\n\n"
            f"A bridge of {material} is built by many hands. The {material} comes from far away. "
            f"Carpenters work on it for a whole year.\n\n## Repair\n\n"
            f"When {material} grows old the bridge is closed. People take the ferry instead. "
            f"New {material} is fitted before the winter comes.\n",
            encoding="utf-8",
        )
    return folder


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(arg) for arg in args], prog_name="gircse")
    assert result.exit_code == code, result.output
    return result.output


def test_a_model_learns_from_documents_and_searches_them(tmp_path: Path, documents: Path):
    base, out = tmp_path / "base", tmp_path / "adapted"
    base.mkdir()
    write_encoder(base)
    run("index", documents, "--collection", "work", "--model", base)

    said = run(
        "train", "--on-corpus", "work", "--out", out, "--updates", 2, "--steps", 2,
        "--batch", 8, "--corpus-pairs", 80, "--rank", 2,
    )  # fmt: skip

    pairs = tmp_path / "adapted-pairs.jsonl.gz"
    with gzip.open(pairs, "rt", encoding="utf-8") as stream:
        assert len(stream.readlines()) == 80
    assert "80 pairs of 8 passages" in said
    assert f"gircse reindex work --model {out}" in said.replace("\n", " ")
    run("reindex", "work", "--model", out)
    assert "Bridges of rope" in run("search", "rope bridges", "-c", "work", "--steps", 2)


def test_the_default_model_is_fitted_to_a_collection_in_one_go(tmp_path: Path, documents: Path):
    out = tmp_path / "fitted"
    run("index", documents, "--collection", "work", "--steps", 0)
    said = run("train", "--on-corpus", "work", "--out", out)
    assert "Fitted to 8 passages and " in said
    assert not (tmp_path / "fitted-pairs.jsonl.gz").exists()
    run("reindex", "work", "--model", out)
    assert "Bridges of rope" in run("search", "rope bridges", "-c", "work")
    again = run("train", "--on-corpus", "work", "--out", out, code=2)
    assert "is not empty" in again


def test_options_that_mean_nothing_to_the_fit_are_refused(tmp_path: Path, documents: Path):
    run("index", documents, "--collection", "work", "--steps", 0)
    train = ("train", "--on-corpus", "work", "--out", tmp_path / "fitted")
    for more, names in (
        (("--steps", 3, "--lr", 1e-3), "--steps, --lr"),
        (("--seed", 0), "--seed"),
        (("--mine", 2, "--leave-out", "x"), "--mine, --leave-out"),
        (("--set", "gate=1", "--dtype", "float32"), "--dtype, --set"),
        (("--no-symmetric",), "--symmetric"),
    ):
        said = " ".join(run(*train, *more, code=2).split())
        assert f"where {names} would mean nothing" in said
        assert "add --updates" in said
    assert "updates is 0" in " ".join(run(*train, "--updates", 0, code=2).split())
    assert not list(tmp_path.glob("fitted*"))


def test_a_collection_without_passages_cannot_be_fitted_to(tmp_path: Path):
    Library(Path(os.environ["GIRCSE_HOME"])).create("empty", model="gircse-minilm").close()
    said = run("train", "--on-corpus", "empty", "--out", tmp_path / "fitted", code=2)
    assert "holds no passages to fit a model to" in " ".join(said.split())


def test_a_resumed_run_keeps_its_pairs(tmp_path: Path, documents: Path):
    base, out = tmp_path / "base", tmp_path / "adapted"
    base.mkdir()
    write_encoder(base)
    run("index", documents, "--collection", "work", "--model", base)
    train = ("train", "--on-corpus", "work", "--out", out, "--updates", 1, "--steps", 1,
             "--batch", 8, "--corpus-pairs", 80, "--rank", 2)  # fmt: skip
    run(*train)
    pairs = tmp_path / "adapted-pairs.jsonl.gz"
    written_at = pairs.stat().st_mtime_ns

    run(*train, "--resume")

    assert pairs.stat().st_mtime_ns == written_at

    said = run(*train, code=2)  # and one that is refused takes no pairs from the run that is there

    assert "holds a run already. Go on with it with --resume" in " ".join(said.split())
    assert pairs.stat().st_mtime_ns == written_at


def test_something_to_train_on_has_to_be_named(tmp_path: Path):
    for more in ((), ("--query-writer", "x"), ("p.jsonl", "--corpus-pairs", 9)):
        said = run("train", "--out", tmp_path / "out", *more, code=2)
        assert "gircse train --on-corpus COLLECTION" in " ".join(said.split())
