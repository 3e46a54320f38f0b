"""gircse train and gircse model export, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from indexer.cli import app
from tests.gircse_core.models import write_encoder
from tests.gircse_core.training.data import questions, write_pairs

ROOT = Path(__file__).parents[3]
SMALL = ("--batch", 8, "--rank", 2, "--steps", 2, "--device", "cpu", "--dtype", "float32")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("base") / "encoder")


@pytest.fixture
def pairs(tmp_path):
    return write_pairs(tmp_path / "pairs.jsonl", questions(32))


def run(*args: object, code: int = 0):
    result = CliRunner().invoke(app, [str(arg) for arg in args], prog_name="gircse")
    assert result.exit_code == code, result.output
    return result


def test_train_export_and_use(base, pairs, tmp_path):
    out = tmp_path / "model"
    options = (*SMALL, "--updates", 3, "--set", "gate=0.2", "--lr", 1e-3, "--no-symmetric")
    said = run("train", pairs, "--out", out, "--model", base, *options)
    assert "3 updates, 24 pairs" in said.stdout
    assert f"The model is in {out}." in said.stdout.replace("\n", "")
    assert "3/3  loss 0:" in said.stderr
    run("train", pairs, "--out", out, "--model", base, *options, "--resume", "--quiet")
    exported = run("model", "export", out, tmp_path / "shipped").stdout
    assert "adapter.safetensors" in exported
    facts = json.loads(run("model", "info", tmp_path / "shipped", "--format", "json").stdout)
    assert facts["default_steps"] == 2
    assert facts["fingerprint"]["gate"] == "0.2"
    assert "fail" not in run("model", "verify", tmp_path / "shipped").stdout


def test_json_holds_the_whole_run(base, pairs, tmp_path):
    said = run(
        "train", pairs, "--out", tmp_path / "m", "--model", base, *SMALL, "--updates", 1,
        "--format", "json", "--source-weight", "pairs=2", "--average", 0.9, "--quiet",
    )  # fmt: skip
    report = json.loads(said.stdout)
    assert report["finished"] is True
    assert report["config"]["source_weights"] == [["pairs", 2.0]]
    assert report["config"]["average_decay"] == 0.9
    assert set(report["step_losses"]) == {"0", "1", "2"}
    assert report["data"][0]["pairs"] == {"pairs": 32}


def test_mined_negatives_are_kept_and_trained_on(base, pairs, tmp_path):
    out = tmp_path / "m"
    said = run(
        "train", pairs, "--out", out, "--model", base, *SMALL, "--updates", 1,
        "--mine", 1, "--format", "json", "--quiet",
    )  # fmt: skip
    assert json.loads(said.stdout)["data"][0]["name"] == "pairs.jsonl.gz"
    assert (tmp_path / "m-mined/pairs.jsonl.gz").is_file()


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (("--batch", "64"), 2, "fewer pairs than a batch of 64"),
        (("--lr", "-1"), 2, "learning_rate is -1.0"),
        (("--set", "gate"), 2, "'gate' is no NAME=VALUE"),
        (("--source-weight", "pairs=much"), 2, "'much', no number"),
        (("--leave-out", "#lead"), 2, "Nothing in the files is called"),
        (("--model", "./nowhere"), 2, "There is no model"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    base, pairs, tmp_path, options, code, complaint
):
    said = run("train", pairs, "--out", tmp_path / "m", "--model", base, *options, code=code)
    assert complaint in said.stderr.replace("\n", " ")
    assert not (tmp_path / "m").exists()


def test_missing_packages_are_named(base, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.training.find_spec", lambda name: None)
    said = run("train", pairs, "--out", tmp_path / "m", "--model", base, code=2)
    assert "pip install 'gircse-search[train]'" in said.stderr.replace("\n", " ")


def test_ctrl_c_ends_after_a_checkpoint(base, pairs, tmp_path):
    out = tmp_path / "m"
    command = ["train", pairs, "--out", out, "--model", base, *SMALL, "--updates", 100_000]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "indexer.cli", *map(str, command)],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr:
            if "/100000  loss" in line:
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "--resume" in errors
    history = (out / "run/history.jsonl").read_text().splitlines()
    (checkpoint,) = list((out / "run/checkpoints").iterdir())[-1:]
    assert int(checkpoint.name) == len(history) > 0
