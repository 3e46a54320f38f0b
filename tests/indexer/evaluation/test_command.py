"""``gircse eval`` as it is typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from indexer.cli import app
from indexer.cli.boundary import ExitCode


def _call(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)], prog_name="gircse")


def _json(*arguments):
    result = _call(*arguments, "--format", "json", "--quiet")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_the_default_model_on_the_sample_corpus(sample_set, tmp_path):
    plot = tmp_path / "curve.svg"
    result = _call(sample_set, "--steps", "0", "--plot", plot)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    by_method = {row[0]: row for row in rows if row and row[0] in ("lexical", "dense", "hybrid")}
    assert list(by_method) == ["lexical", "dense", "hybrid"]
    assert float(by_method["dense"][2]) > 0.6
    assert "60 queries" in result.stdout
    assert "paired t-test" in result.stdout
    assert plot.read_bytes().startswith(b"<?xml")


def test_a_model_that_refines(sample_set, tiny_model, cache):
    report = _json(
        sample_set, "--model", tiny_model, "--steps", "3,0", "--cache", cache, "-m", "dense",
        "-b", "rocchio", "--matrix",
    )  # fmt: skip
    (result,) = report["sets"]
    assert [(run["method"], run["steps"]) for run in result["runs"]] == [
        ("rocchio", None),
        ("dense", 0),
        ("dense", 3),
    ]
    assert result["matrix"]["query_steps"] == [0, 3]
    assert report["model"] == str(tiny_model)
    assert list(cache.glob("*.npy"))


def test_the_steps_that_a_model_defines_are_the_default(sample_set, tiny_model, cache):
    report = _json(sample_set, "--model", tiny_model, "--cache", cache, "-m", "dense")
    assert report["settings"]["steps"] == [0, 1, 2, 3, 5, 8, 12, 20]


def test_several_sets_get_an_average_and_pairs_a_table(sample_set, tiny_model, cache, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("1\ta cat\ta dog\n5\tsame\tsame\n3\tthe cat\ta cat\n")
    other = tmp_path / "other"
    other.symlink_to(sample_set)  # resolved: the same folder
    result = _call(sample_set, other, "--model", tiny_model, "--steps", "1", "--cache", cache)
    assert result.exit_code == ExitCode.USAGE
    assert "is given twice" in result.stderr
    report = _json(pairs, "--model", tiny_model, "--steps", "0,2", "-m", "lexical")
    assert [row["steps"] for row in report["sts"][0]["rows"]] == [0, 2]
    assert report["sets"] == []


def test_words_alone_load_no_model(sample_set, monkeypatch):
    from indexer import embedder

    monkeypatch.setattr(embedder, "load_embedder", None)
    report = _json(sample_set, "-m", "lexical")
    assert report["model"] is None
    assert [run["method"] for run in report["sets"][0]["runs"]] == ["lexical"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0,x"], "--steps holds 'x'"),
        (["--steps", "65"], "65 steps asked for; gircse-minilm defines from 0 to 64 steps"),
        (["--doc-steps", "some"], "--doc-steps holds 'some'"),
        (["--mode", "sideways"], "--mode is 'sideways'; choose from hybrid, dense, lexical"),
        (["--baseline", "magic"], "--baseline is 'magic'; choose from mean, last"),
        (["--split", "train"], "has no qrels/train.tsv"),
        (["--plot", "curve.jpg"], "expected a name in .png"),
        (["--model", "./nowhere"], "nowhere"),
        (["--matrix", "--steps", "0"], "at least two"),
    ],
)
def test_wrong_options_end_before_anything_is_loaded(sample_set, arguments, message, monkeypatch):
    from indexer import embedder

    monkeypatch.setattr(embedder, "load_embedder", None)
    result = _call(sample_set, *arguments)
    assert result.exit_code == ExitCode.USAGE, result.output
    assert message in result.stderr


def test_a_missing_folder(tmp_path):
    result = _call(tmp_path / "nowhere")
    assert result.exit_code == ExitCode.USAGE
    assert "is no folder" in result.stderr


def test_a_missing_extra_is_named_with_its_command(sample_set, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = _call(sample_set, "-m", "lexical", "--plot", tmp_path / "curve.svg")
    assert result.exit_code == ExitCode.USAGE
    assert "pip install 'gircse-search[eval]'" in result.stderr


def test_in_a_process_of_its_own(sample_set, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "indexer.cli", "eval", str(sample_set), "--mode",
         "lexical", "--baseline", "bm25", "--format", "json"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["sets"][0]["runs"]
    assert run["method"] == "lexical"
    assert run["figures"]["ndcg@10"]["mean"] > 0.2
