"""Each check says what it found, and what to do when that is not good."""

from __future__ import annotations

from importlib import metadata

import pytest

from gircse_core.registry import Check
from indexer import doctor, embedder
from indexer.settings import LoadedSettings, Settings, defaults


@pytest.fixture
def loaded(tmp_path):
    return LoadedSettings(Settings(home=tmp_path / "home"), defaults().origins, ("GIRCSE_TYPO",))


def found(findings, name):
    return [finding for finding in findings if finding.name.startswith(name)]


def test_the_checks_cover_what_can_break(loaded):
    findings = list(doctor.examine(loaded))
    names = {finding.name for finding in findings}

    assert {"python", "sqlite", "faiss", "disk", "collections", "typer", "numpy"} <= names
    assert {"setting home", "setting model", "setting steps"} <= names
    assert found(findings, "model gircse-minilm, weights")[0].level == "ok"
    assert found(findings, "device, device")
    for finding in findings:
        assert finding.detail
        assert (finding.level == "ok") == (not finding.remedy), finding


def test_looking_changes_nothing(loaded):
    list(doctor.examine(loaded))

    assert not loaded.settings.home.exists()


def test_a_variable_that_means_nothing_is_pointed_out(loaded):
    finding = found(doctor.examine(loaded), "environment")[0]

    assert finding.level == "warn"
    assert "GIRCSE_TYPO" in finding.detail


def test_a_missing_or_old_package_comes_with_the_command_that_mends_it():
    missing = doctor._requirement("no-such-distribution>=1")
    old = doctor._requirement(f"typer>{metadata.version('typer')}")

    assert missing == doctor.Finding(
        "no-such-distribution", "fail", "is not installed", "pip install 'no-such-distribution>=1'"
    )
    assert old.level == "warn"
    assert "pip install 'typer>" in old.remedy


def test_dependencies_of_extras_and_other_platforms_are_not_asked_for():
    assert doctor._requirement("nothing; extra == 'gpu'") is None
    assert doctor._requirement("nothing; sys_platform == 'plan9'") is None


def test_both_faiss_packages_at_once_fail(monkeypatch):
    monkeypatch.setattr(doctor, "_is_installed", lambda name: True)
    monkeypatch.setattr(metadata, "version", lambda name: "1.15.1")

    finding = next(doctor._faiss())

    assert finding.level == "fail"
    assert "overwrite each other" in finding.detail


def test_no_faiss_package_fails(monkeypatch):
    monkeypatch.setattr(doctor, "_is_installed", lambda name: False)

    assert next(doctor._faiss()).level == "fail"


class FaultyGpu:
    """Stands in for faiss-gpu on a machine whose driver does not answer."""

    IndexFlatIP = staticmethod(lambda dim: None)

    def __init__(self, gpus, error=None):
        self.gpus = gpus
        self.error = error

    def get_num_gpus(self):
        return self.gpus

    def StandardGpuResources(self):
        raise RuntimeError(self.error)


def test_a_gpu_that_is_absent_or_broken_is_told_apart():
    assert doctor._gpu_problem(FaultyGpu(0)) == "it sees no GPU"
    assert doctor._gpu_problem(FaultyGpu(1, "CUDA error 35\nat line 7")) == (
        "the GPU cannot be used: CUDA error 35"
    )


@pytest.mark.gpu
def test_a_trial_search_on_the_gpu():
    faiss = pytest.importorskip("faiss")
    if not hasattr(faiss, "get_num_gpus") or not faiss.get_num_gpus():
        pytest.skip("this faiss sees no GPU")

    assert doctor._gpu_problem(faiss) is None


def test_a_home_that_cannot_be_written_fails(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no directory", encoding="utf-8")

    finding = found(doctor._storage(blocked), "collections")[0]

    assert finding.level == "fail"
    assert "GIRCSE_HOME" in finding.remedy


def test_little_free_disk_is_a_warning_and_none_a_failure(tmp_path, monkeypatch):
    usage = doctor.shutil.disk_usage(tmp_path)
    for free, level in [(10**12, "ok"), (10**9, "warn"), (10**6, "fail")]:
        monkeypatch.setattr(
            doctor.shutil, "disk_usage", lambda path, free=free: usage._replace(free=free)
        )
        assert found(doctor._storage(tmp_path), "disk")[0].level == level


def test_altered_weights_fail_with_the_way_to_get_them_again(monkeypatch):
    checks = [Check("files", True, "/models"), Check("weights", False, "sha256 differs")]
    monkeypatch.setattr(embedder, "verify_model", lambda model: checks)

    findings = list(doctor._model("gircse-minilm"))

    assert [finding.level for finding in findings] == ["ok", "fail"]
    assert "gircse model pull gircse-minilm" in findings[1].remedy


def test_one_broken_check_does_not_hide_the_others(loaded, monkeypatch):
    def broken():
        raise OSError("sysfs is gone")
        yield

    monkeypatch.setattr(doctor, "_python", broken)

    findings = list(doctor.examine(loaded))

    assert found(findings, "python")[0].level == "fail"
    assert "sysfs is gone" in found(findings, "python")[0].detail
    assert found(findings, "sqlite")[0].level == "ok"


def test_unknown_model_fails(loaded):
    findings = list(doctor._model("no-such-model"))

    assert findings[0].level == "fail"
    assert "no-such-model" in findings[0].detail
