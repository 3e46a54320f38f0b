from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gircse_core import GircseEmbedder, resolve
from gircse_core.errors import TrainingError, TrainingInputError
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.loop import TrainingLoop
from gircse_core.training.run_folder import RunFolder
from gircse_core.training.shipping import export_run
from gircse_core.training.trainees import load_trainee
from gircse_core.training.trainer import train
from tests.gircse_core import models
from tests.gircse_core.training.data import questions, write_pairs

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return models.write_encoder(tmp_path_factory.mktemp("base") / "encoder")


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return models.write_causal(tmp_path_factory.mktemp("base") / "qwen2", models.CONFIGS["qwen2"])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    everything = questions(96)
    return [
        write_pairs(folder / "first.jsonl", everything[:48]),
        write_pairs(folder / "second.jsonl.gz", everything[48:], source="other#tag"),
    ]


def _config(base, **choices):
    values = {
        "model": str(base),
        "updates": 12,
        "steps": 3,
        "batch_size": 16,
        "block_size": 2,
        "rank": 4,
        "alpha": 4.0,
        "learning_rate": 1e-2,
        "dtype": "float32",
        "device": "cpu",
        "checkpoint_every": 4,
    }
    return TrainingConfig(**(values | choices))


def _losses(out):
    return [line["loss"] for line in RunFolder(out).history()]


EVERYTHING = {
    "cross_step_weight": 0.5,
    "cross_step_pairs": 3,
    "cross_step_zero": True,
    "distillation_weight": 0.3,
    "teacher": "hybrid",
    "average_decay": 0.9,
    "regularise_start": True,
    "accumulation": 2,
    "weight_decay": 0.01,
}


def test_a_short_run_learns_and_leaves_a_model_that_loads_by_folder(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    seen = []
    config = _config(encoder, updates=30)
    report = train(config, pairs, out, on_progress=seen.append)
    assert report.finished
    assert report.updates == len(seen) == 30
    assert report.examples == 30 * 16
    assert [progress.update for progress in seen] == list(range(1, 31))
    early = np.mean([progress.step_losses[3] for progress in seen[:6]])
    assert report.step_losses[3] < 0.9 * early
    assert set(report.step_losses) == {0, 1, 2, 3}
    assert {progress.source for progress in seen} == {"first", "other"}
    assert seen[-1].learning_rate < seen[10].learning_rate
    assert seen[-1].seconds_left == 0 < seen[0].seconds_left

    spec = resolve(str(out))
    assert (spec.config.trained_steps, spec.default_steps, spec.max_steps) == (3, 3, 64)
    trainee = load_trainee(spec, config.resolved("prefix_encoder"), device="cpu")
    rows = trainee.tokens(models.TEXTS)
    with torch.no_grad():
        own = trainee.encode(rows, steps=3)
    embedder = GircseEmbedder(str(out), device="cpu", dtype="float32")
    for steps in range(4):
        vectors = embedder.embed_documents(models.TEXTS, steps)
        np.testing.assert_allclose(vectors, own[steps].numpy(), atol=2e-5)
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "README.md").read_text().startswith("# model\n")
    with pytest.raises(TrainingInputError, match="holds a run already"):
        train(config, pairs, out)


def test_the_same_seed_repeats_a_run_and_another_does_not(encoder, pairs, tmp_path):
    runs = {}
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        train(_config(encoder, updates=3, seed=seed), pairs, tmp_path / name)
        runs[name] = _losses(tmp_path / name)
    assert runs["one"] == runs["two"] != runs["three"]


PROGRAM = """
import json, sys
from pathlib import Path
from gircse_core.training.configuration import TrainingConfig
from gircse_core.training.trainer import train
values, files, out = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
config = TrainingConfig.from_dict(values, origin="the test")
train(config, [Path(file) for file in files], Path(out), resume=True,
      on_progress=lambda progress: print(progress.update, flush=True))
"""


def _command(config, pairs, out):
    files = json.dumps([str(file) for file in pairs])
    return [sys.executable, "-c", PROGRAM, json.dumps(config.as_dict()), files, str(out)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["prefix", "causal"])
def test_a_killed_run_goes_on_to_exactly_the_same_loss(kind, encoder, causal, pairs, tmp_path):
    base = encoder if kind == "prefix" else causal
    choices = EVERYTHING | ({"dropout": 0.1} if kind == "causal" else {})
    config = _config(base, **choices)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(_command(config, pairs, whole), cwd=ROOT, env=environment, check=True)
    with subprocess.Popen(
        _command(config, pairs, killed),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if int(line) == 7:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
    assert len(_losses(killed)) >= 7
    assert not (killed / "gircse.json").exists()
    done = subprocess.run(
        _command(config, pairs, killed),
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[0] == "5"  # the checkpoint after 4 was the last
    assert _losses(killed) == _losses(whole)
    name = "adapter.safetensors" if kind == "prefix" else "adapter_model.safetensors"
    expected, seen = load_file(whole / name), load_file(killed / name)
    assert all(torch.equal(expected[key], seen[key]) for key in expected)


def test_a_run_that_is_asked_to_stop_ends_after_a_checkpoint(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    config = _config(encoder, checkpoint_every=100)
    updates = []
    report = train(
        config, pairs, out, on_progress=updates.append, should_stop=lambda: len(updates) == 2
    )
    assert (report.finished, report.updates) == (False, 2)
    assert not (out / "adapter.safetensors").exists()
    report = train(config, pairs, out, resume=True, on_progress=updates.append)
    assert (report.finished, report.updates) == (True, 12)
    assert [progress.update for progress in updates] == list(range(1, 13))
    again = train(config, pairs, out, resume=True)
    assert (again.finished, again.updates) == (True, 12)
    assert again.step_losses == report.step_losses


def test_notes_on_the_card_outlive_a_new_card(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    train(_config(encoder, updates=1), pairs, out, command="gircse train it")
    card = out / "README.md"
    text = card.read_text()
    assert "```sh\ngircse train it\n```" in text
    assert "| first.jsonl | 48 | first 48 |" in text
    assert "| second.jsonl.gz | 48 | other#tag 48 |" in text
    assert "## Notes\n\nNothing has been noted." in text
    card.write_text(text.partition("\n## Notes")[0] + "\n## Notes\n\nBeans went **well**.\n")
    train(_config(encoder, updates=1), pairs, out, resume=True)
    assert card.read_text().endswith("## Notes\n\nBeans went **well**.\n")
    assert card.read_text().count("## Notes") == 1


@pytest.mark.slow
def test_a_causal_model_trains_until_its_steps_are_in_order(causal, pairs, tmp_path):
    config = _config(
        causal, updates=60, steps=4, dropout=0.0, temperature=0.1, schedule="linear", block_size=1
    )
    report = train(config, pairs, tmp_path / "model")
    losses = [report.step_losses[step] for step in range(1, 5)]
    assert all(later <= earlier * 1.001 for earlier, later in pairwise(losses))
    first = RunFolder(tmp_path / "model").history()[0]["step_losses"]
    assert losses[-1] < 0.8 * first["4"]


def test_what_was_averaged_is_what_is_exported(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    train(_config(encoder, average_decay=0.9, updates=5), pairs, out)
    state = load_file(out / "run/checkpoints/00000005/tensors.safetensors")
    name = "layers.1.up.lora_B"
    exported = load_file(out / "adapter.safetensors")[name]
    torch.testing.assert_close(exported, state[f"average:{name}"])
    assert not torch.allclose(exported, state[f"weights:{name}"])


def test_export_ships_a_small_copy_also_of_a_run_that_has_not_ended(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    updates = []
    train(
        _config(encoder),
        pairs,
        out,
        on_progress=updates.append,
        should_stop=lambda: len(updates) == 6,
    )
    files = export_run(out, tmp_path / "shipped")
    assert {"adapter.safetensors", "gircse.json"} <= {file.name for file in files}
    assert GircseEmbedder(str(tmp_path / "shipped")).embed_queries(["beans"], 3).shape == (1, 32)
    assert load_file(tmp_path / "shipped/adapter.safetensors")["layers.0.up.lora_A"].dtype == (
        torch.float16
    )
    with pytest.raises(TrainingInputError, match="exists already"):
        export_run(out, tmp_path / "shipped")
    with pytest.raises(TrainingInputError, match="holds no training run"):
        export_run(tmp_path / "shipped", tmp_path / "other")


def test_a_model_with_all_further_tensors_ships(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    choices = {
        "readout": "zero",
        "step_embeddings": True,
        "query_embedding": True,
        "head_words": 20,
        "updates": 2,
    }
    train(_config(encoder, **choices), pairs, out)
    export_run(out, tmp_path / "shipped")
    shipped, own = (
        load_file(folder / "adapter.safetensors") for folder in (tmp_path / "shipped", out)
    )
    assert len(shipped["head_tokens"]) == 20
    assert shipped["query_embedding"].any()
    assert torch.equal(shipped["head_tokens"], own["head_tokens"])
    torch.testing.assert_close(shipped["readout"].float(), own["readout"], atol=1e-3, rtol=1e-3)
    assert {path.name for path in (tmp_path / "shipped").iterdir()} == {
        "README.md",
        "adapter.safetensors",
        "curves.png",
        "gircse.json",
    }


def test_only_as_many_checkpoints_as_wanted_stay(encoder, pairs, tmp_path):
    train(_config(encoder, checkpoint_every=2, keep_checkpoints=3), pairs, tmp_path / "model")
    kept = sorted(entry.name for entry in (tmp_path / "model/run/checkpoints").iterdir())
    assert kept == ["00000008", "00000010", "00000012"]


def test_another_run_is_not_continued(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    train(_config(encoder, updates=2), pairs, out)
    with pytest.raises(TrainingInputError, match=r"differs in: updates: 2, 3; seed: 0, 1"):
        train(_config(encoder, updates=3, seed=1), pairs, out, resume=True)
    with pytest.raises(TrainingInputError, match="the files of pairs"):
        train(_config(encoder, updates=2), pairs[:1], out, resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("dear")
    with pytest.raises(TrainingInputError, match="is not empty"):
        train(_config(encoder), pairs, tmp_path / "full")


def test_a_damaged_checkpoint_is_named(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    train(_config(encoder, updates=2), pairs, out)
    file = out / "run/checkpoints/00000002/tensors.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    with pytest.raises(TrainingInputError, match=r"00000002 is damaged: its checksum"):
        train(_config(encoder, updates=2), pairs, out, resume=True)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
    encoder, pairs, tmp_path, monkeypatch
):
    real = TrainingLoop._loss

    def broken(self, batch):
        loss = real(self, batch)
        if self.update == 2:
            loss.total.data.fill_(float("nan"))
        return loss

    monkeypatch.setattr(TrainingLoop, "_loss", broken)
    with pytest.raises(TrainingError, match=r"loss of update 3 is nan; .* '(first|other)'"):
        train(_config(encoder, checkpoint_every=1), pairs, tmp_path / "model")
    assert (tmp_path / "model/run/checkpoints/00000002").is_dir()


def test_a_gradient_that_is_no_number_reaches_no_weights(encoder, pairs, tmp_path, monkeypatch):
    real = TrainingLoop._accumulate

    def broken(self):
        losses, batch = real(self)
        if self.update == 2:
            next(iter(self._trainee.tensors.values())).grad[0] = float("inf")
        return losses, batch

    monkeypatch.setattr(TrainingLoop, "_accumulate", broken)
    with pytest.raises(TrainingError, match=r"gradient's norm of update 3 is inf"):
        train(_config(encoder, updates=3, checkpoint_every=1), pairs, tmp_path / "model")
    assert not (tmp_path / "model/run/checkpoints/00000003").exists()


def test_bad_input_leaves_no_folder_behind(encoder, pairs, tmp_path):
    out = tmp_path / "model"
    with pytest.raises(TrainingInputError, match="fewer pairs than a batch of 64"):
        train(_config(encoder, batch_size=64), pairs, out)
    with pytest.raises(TrainingInputError, match="There is no file"):
        train(_config(encoder), [tmp_path / "missing.jsonl"], out)
    assert not out.exists()


def test_the_record_holds_everything_that_repeats_the_run(encoder, pairs, tmp_path):
    train(_config(encoder, updates=1), pairs, tmp_path / "model", command="gircse train it")
    record = RunFolder(tmp_path / "model").record()
    assert record.command == "gircse train it"
    assert record.config == _config(encoder, updates=1).resolved("prefix_encoder")
    assert [asdict(file)["pairs"] for file in record.data] == [{"first": 48}, {"other#tag": 48}]
    assert record.versions["torch"] == torch.__version__


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_two_batches(encoder, pairs, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    train(_config(encoder, accumulation=2, updates=4), pairs, one)
    config = _config(encoder, updates=4)
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", str(script), *_command(config, pairs, two)[3:]),
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=240,
    )
    assert RunFolder(two).record().processes == 2
    np.testing.assert_allclose(_losses(two), _losses(one), rtol=1e-4)
