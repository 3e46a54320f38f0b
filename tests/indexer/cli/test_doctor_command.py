"""``gircse doctor`` and ``gircse model``: levels, exit codes and forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from gircse_core.registry import Check
from indexer import doctor, embedder


@pytest.fixture
def findings(monkeypatch):
    found = [doctor.Finding("python", "ok", "3.11"), doctor.Finding("disk", "warn", "low", "clean")]
    monkeypatch.setattr(doctor, "examine", lambda loaded: iter(found))
    return found


def test_warnings_leave_the_exit_code_at_zero(gircse, findings):
    shown = gircse.ok("doctor")

    assert shown.splitlines() == [
        "ok    python  3.11",
        "warn  disk  low",
        "      → clean",
        "1 ok, 1 to look at, 0 failed",
    ]


def test_a_failure_is_exit_code_one(gircse, findings):
    findings.append(doctor.Finding("faiss", "fail", "missing", "pip install faiss-cpu"))

    assert gircse("doctor").exit_code == 1
    result = gircse("doctor", "--format", "json")
    assert result.exit_code == 1
    assert '"ok": false' in result.stdout


def test_json_has_every_finding(gircse, findings):
    assert gircse.json("doctor") == {
        "ok": True,
        "findings": [
            {"name": "python", "level": "ok", "detail": "3.11", "remedy": ""},
            {"name": "disk", "level": "warn", "detail": "low", "remedy": "clean"},
        ],
    }


def test_settings_that_cannot_be_read_are_a_finding_like_others(gircse, findings):
    Path("gircse.toml").write_text("top = 0", encoding="utf-8")

    result = gircse("doctor")

    assert result.exit_code == 1
    assert "fail  settings" in result.stdout
    assert "ok    python" in result.stdout


def test_models_known_by_name_are_listed(gircse):
    assert "gircse-minilm" in [model["name"] for model in gircse.json("model", "list")]
    assert gircse.ok("model", "list").startswith("gircse-minilm")


def test_model_info_takes_the_model_of_the_settings(gircse):
    info = gircse.json("model", "info")

    assert info["name"] == "gircse-minilm"
    assert info["dim"] == 384
    assert info["min_steps"] == 0
    assert info["fingerprint"]


def test_model_verify_is_zero_when_all_is_intact(gircse):
    result = gircse.json("model", "verify")

    assert result["ok"]
    assert {check["name"] for check in result["checks"]} >= {"files", "weights", "tokenizer"}


def test_model_verify_is_one_when_something_is_altered(gircse, monkeypatch):
    monkeypatch.setattr(
        embedder, "verify_model", lambda model: [Check("weights", False, "altered")]
    )

    result = gircse("model", "verify")

    assert result.exit_code == 1
    assert "fail  weights: altered" in result.stdout
    assert "gircse model pull gircse-minilm" in result.stderr


@pytest.mark.parametrize("command", ["info", "pull"])
def test_an_unknown_model_is_named_with_those_there_are(gircse, command):
    result = gircse("model", command, "no-such-model")

    assert result.exit_code == 2
    assert "no-such-model" in result.stderr
    assert "gircse-minilm" in result.stderr
    assert result.stdout == ""


def test_pulling_a_model_that_is_here_says_so(gircse):
    assert gircse.ok("model", "pull", "gircse-minilm") == "gircse-minilm is on this machine.\n"
