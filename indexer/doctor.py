"""What this installation consists of and what is wrong with it. Looks, and changes nothing.

Every check stands alone: one that cannot be made is reported as a failure of its own, and the
others still run.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Literal

from indexer.setting_rules import RULES
from indexer.settings import LoadedSettings

__all__ = ["Finding", "Level", "examine"]

Level = Literal["ok", "warn", "fail"]

DISTRIBUTION = "gircse-search"
_FAISS_DISTRIBUTIONS = ("faiss-cpu", "faiss-gpu")
_DISK_WARN_BYTES = 2_000_000_000
_DISK_FAIL_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Args:
        name: what was looked at.
        level: ``ok``, ``warn`` (works, but) or ``fail`` (does not work).
        detail: what was found.
        remedy: what to do; empty when nothing is.
    """

    name: str
    level: Level
    detail: str
    remedy: str = ""


def examine(loaded: LoadedSettings) -> Iterator[Finding]:
    """Yield what there is to say about this installation, slow checks last.

    Args:
        loaded: the settings in force, with their origins.
    """
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("settings", lambda: _settings(loaded)),
        ("python", _python),
        ("sqlite", _sqlite),
        ("packages", _packages),
        ("storage", lambda: _storage(loaded.settings.home)),
        ("faiss", _faiss),
        ("model", lambda: _model(loaded.settings.model)),
        ("device", lambda: _runtime(loaded.settings.model)),
    )
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:
            yield Finding(
                name,
                "fail",
                f"could not be checked: {type(error).__name__}: {error}",
                "reinstall the program; gircse --debug doctor says more",
            )


def _settings(loaded: LoadedSettings) -> Iterator[Finding]:
    for name, key in RULES.items():
        value = loaded.settings.value(name)
        shown = "(set)" if key.is_secret else str(value)
        if value is None:
            shown = "none" if key.is_secret or "." in name else "automatic"
        yield Finding(f"setting {name}", "ok", f"{shown} (from {loaded.origins[name]})")
    for variable in loaded.unknown_variables:
        yield Finding(
            "environment",
            "warn",
            f"{variable} is set, and nothing reads it",
            f"correct its name or remove it; gircse config show lists the settings: {variable}",
        )


def _python() -> Iterator[Finding]:
    where = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("python", "ok", f"{where} on {machine}")


def _sqlite() -> Iterator[Finding]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
    except sqlite3.OperationalError as error:
        yield Finding(
            "sqlite",
            "fail",
            f"{sqlite3.sqlite_version} has no full-text search (FTS5): {error}",
            "use a Python whose SQLite is built with FTS5, such as python.org's or Debian's",
        )
    else:
        yield Finding("sqlite", "ok", f"{sqlite3.sqlite_version} with FTS5")
    finally:
        connection.close()


def _packages() -> Iterator[Finding]:
    try:
        version = metadata.version(DISTRIBUTION)
        declared = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Finding(
            DISTRIBUTION,
            "warn",
            "runs from its source folder and is not installed",
            "install it: pip install -e '.[cpu]'",
        )
        return
    yield Finding(DISTRIBUTION, "ok", version)
    for requirement in declared:
        finding = _requirement(requirement)
        if finding is not None:
            yield finding


def _requirement(declared: str) -> Finding | None:
    """Compare one declared dependency with what is installed; None where it is not for here."""
    from packaging.requirements import Requirement

    requirement = Requirement(declared)
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(requirement.name, "fail", "is not installed", remedy)
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(
            requirement.name, "warn", f"{version}; expected {requirement.specifier}", remedy
        )
    return Finding(requirement.name, "ok", version)


def _storage(home: Path) -> Iterator[Finding]:
    existing = next(path for path in (home, *home.parents) if path.exists())
    yield _writable("collections", home, existing)
    temporary = Path(tempfile.gettempdir())
    yield _writable("temporary files", temporary, temporary)
    free = shutil.disk_usage(existing).free
    level: Level = "ok"
    if free < _DISK_WARN_BYTES:
        level = "fail" if free < _DISK_FAIL_BYTES else "warn"
    yield Finding(
        "disk",
        level,
        f"{free / 1e9:.1f} GB free for {home}",
        "" if level == "ok" else "free some space, or move the collections: GIRCSE_HOME",
    )


def _writable(name: str, path: Path, existing: Path) -> Finding:
    """Try to write where ``path`` is or would be made."""
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding(
            name,
            "fail",
            f"{path} cannot be written: {error.strerror}",
            f"give this account the right to write to {existing}, or set GIRCSE_HOME",
        )
    made = "" if path == existing else " (made when first needed)"
    return Finding(name, "ok", f"{path} can be written{made}")


def _faiss() -> Iterator[Finding]:
    installed = [name for name in _FAISS_DISTRIBUTIONS if _is_installed(name)]
    if not installed:
        yield Finding(
            "faiss",
            "fail",
            "neither faiss-cpu nor faiss-gpu is installed",
            "pip install faiss-cpu (or faiss-gpu on Linux with an NVIDIA GPU)",
        )
        return
    if len(installed) > 1:
        yield Finding(
            "faiss",
            "fail",
            "faiss-cpu and faiss-gpu are both installed and overwrite each other's files",
            "pip uninstall faiss-cpu faiss-gpu, then install one of them",
        )
    name = installed[0]
    version = f"{name} {metadata.version(name)}"
    try:
        import faiss
    except (ImportError, RuntimeError, OSError) as error:
        yield Finding(
            "faiss",
            "fail",
            f"{version} cannot be loaded: {str(error).splitlines()[0]}",
            "faiss-gpu needs NVIDIA's CUDA 12 libraries; without a GPU install faiss-cpu instead",
        )
        return
    if name == "faiss-cpu":
        yield Finding("faiss", "ok", f"{version}, for the CPU")
        return
    problem = _gpu_problem(faiss)
    if problem is None:
        yield Finding("faiss", "ok", f"{version}, a trial search on the GPU works")
    else:
        yield Finding(
            "faiss",
            "warn",
            f"{version}: {problem}; searches on the CPU",
            "check the driver with nvidia-smi, or install faiss-cpu, which is smaller",
        )


def _gpu_problem(faiss: ModuleType) -> str | None:
    """Search a handful of vectors on the first GPU; return what prevents it, or None."""
    # GPU resources can be made even where there is no GPU: only the count tells.
    if not faiss.get_num_gpus():
        return "it sees no GPU"
    import numpy as np

    vectors = np.eye(4, dtype=np.float32)
    try:
        resources = faiss.StandardGpuResources()
        resources.noTempMemory()  # by default it takes more than a gigabyte
        index = faiss.index_cpu_to_gpu(resources, 0, faiss.IndexFlatIP(4))
        index.add(vectors)
        _, found = index.search(vectors, 1)
    except RuntimeError as error:
        return f"the GPU cannot be used: {str(error).splitlines()[0]}"
    return None if found.ravel().tolist() == [0, 1, 2, 3] else "the GPU finds the wrong vectors"


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _model(name: str) -> Iterator[Finding]:
    from indexer.embedder import ModelError, verify_model

    try:
        checks = verify_model(name)
    except ModelError as error:
        yield Finding(f"model {name}", "fail", str(error), f"gircse model pull {name}")
        return
    for check in checks:
        yield Finding(
            f"model {name}, {check.name}",
            "ok" if check.ok else "fail",
            check.detail,
            "" if check.ok else f"gircse model pull {name}, or choose another: gircse model list",
        )


def _runtime(model: str) -> Iterator[Finding]:
    from indexer.embedder import ModelError, runtime_report

    try:
        report = runtime_report(model)
    except ModelError as error:
        yield Finding("device", "fail", str(error), "see the model's own line above")
        return
    for name, value in report.items():
        yield Finding(f"device, {name}", "ok", value)
