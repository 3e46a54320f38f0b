from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.resources import build, services
from app.services import Services
from indexer.collections.library import Library
from indexer.embedder import Embedder, load_embedder
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from indexer.settings import load

DOCUMENTS = Path(__file__).parents[2] / "data" / "sample" / "documents"
FEW = ("home/dripping-tap.md", "home/when-the-breaker-trips.pdf", "kitchen/storing-food-safely.pdf")

BuildServices = Callable[..., Services]


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    """The default model, loaded once for all tests."""
    return load_embedder("gircse-minilm")


@pytest.fixture(scope="session")
def refining_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes 0 to 64 steps: the default one under a random adapter."""
    from tests.gircse_core import models

    tensors = models.random_adapter(layers=6, hidden=384, inner=1536, size=0.02)
    return models.write_prefix_model(
        tmp_path_factory.mktemp("models") / "refining", models.MINILM, tensors
    )


@pytest.fixture(scope="session")
def plain_model() -> Path:
    """A model that takes 0 steps alone: the default one's base encoder, without an adapter."""
    from tests.gircse_core import models

    return models.MINILM


@pytest.fixture(scope="session")
def indexed_home(tmp_path_factory: pytest.TempPathFactory, minilm: Embedder) -> Path:
    """A home with three documents in the collection ``default``; copied by those who change it."""
    home = tmp_path_factory.mktemp("indexed")
    with Library(home).create("default", model="gircse-minilm") as collection:
        report = index_paths(
            collection,
            [DOCUMENTS / name for name in FEW],
            embedder=lambda: minilm,
            options=IndexOptions(),
        )
    assert report.new == 3
    return home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, which settings point to."""
    monkeypatch.setenv("GIRCSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def filled_home(home: Path, indexed_home: Path) -> Path:
    """A home of the test's own with three documents."""
    shutil.copytree(indexed_home, home)
    return home


@pytest.fixture
def build_services() -> Iterator[BuildServices]:
    """Put the app's parts together under the settings in force, and take them apart afterwards."""
    with ExitStack() as stack:

        def build_one(*, is_started: bool = True, takes_paths: bool = True) -> Services:
            built = build(load().settings, takes_paths=takes_paths)
            stack.callback(built.close)
            if is_started:
                built.start()
            return built

        yield build_one


@pytest.fixture
def shared_services(home: Path) -> Iterator[Callable[[], Services]]:
    """The services that pages share; made at the first call, closed after the test."""
    services.clear()
    yield services
    services.clear()
