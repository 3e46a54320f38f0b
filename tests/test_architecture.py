"""Who may know whom: streamlit_app → app → indexer → gircse_core, one way."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["gircse_core", "indexer", "app", "streamlit_app"]


def _modules() -> list[Path]:
    files = [file for layer in LAYERS[:3] for file in sorted((ROOT / layer).rglob("*.py"))]
    return [*files, ROOT / "streamlit_app.py"]


def _imports(file: Path, *, top_level_only: bool = False) -> set[str]:
    """Return the modules that a file imports, those under TYPE_CHECKING included."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("file", _modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_one_way(file: Path) -> None:
    layer = file.relative_to(ROOT).parts[0].removesuffix(".py")
    above = LAYERS[LAYERS.index(layer) + 1 :]
    packages = {name.split(".")[0] for name in _imports(file)}
    assert not packages & set(above), f"{file} imports from a layer above its own"
    if layer in {"app", "streamlit_app"}:
        assert "gircse_core" not in packages, f"{file} reaches past the indexer"


def test_the_indexer_meets_the_model_in_two_modules_only() -> None:
    users = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "indexer").rglob("*.py")
        if any(name.split(".")[0] == "gircse_core" for name in _imports(file))
    }
    assert users == {"indexer/embedder.py", "indexer/training.py"}


@pytest.mark.parametrize("package", ["searching", "reading", "library", "quality", "work"])
def test_what_the_pages_show_is_worked_out_without_streamlit(package: str) -> None:
    for file in (ROOT / "app" / package).rglob("*.py"):
        assert "streamlit" not in {name.split(".")[0] for name in _imports(file)}, file


def test_heavy_libraries_are_imported_late() -> None:
    """At the top of a module of the indexer they would slow down `gircse --help`."""
    heavy = {"torch", "transformers", "faiss", "streamlit", "qdrant_client", "ray", "pyarrow"}
    for file in (ROOT / "indexer").rglob("*.py"):
        top = {name.split(".")[0] for name in _imports(file, top_level_only=True)}
        assert not top & heavy, f"{file} imports {top & heavy} at its top"


@pytest.mark.parametrize("package", ["gircse_core", "indexer"])
def test_all_names_exist_once(package: str) -> None:
    root = importlib.import_module(package)
    names = [package] + [
        info.name
        for info in pkgutil.walk_packages(root.__path__, prefix=f"{package}.")
        if not info.name.endswith("__main__")
    ]
    for name in names:
        module = importlib.import_module(name)
        exported = getattr(module, "__all__", [])
        for member in exported:
            assert hasattr(module, member), f"{name}.__all__ names {member}, which does not exist"
        assert len(set(exported)) == len(exported)
