"""A small collection made by the real pipeline, for the tests of verifying and moving."""

from __future__ import annotations

import shutil
from pathlib import Path

from indexer.collections.library import Collection, Library
from indexer.indexing.index_report import IndexOptions, IndexReport
from indexer.indexing.pipeline import index_paths
from indexer.transfer.manifest import Manifest
from indexer.transfer.unpacking import open_archive, read_manifest
from tests.indexer.fake_model import FakeEmbedder, FakeModel, write_tokenizer
from tests.indexer.opening import open_or_create

NAME = "docs"


class Place:
    """A home with one collection, the files that it was made from, and a model that costs nothing.

    Args:
        folder: where to put all of it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.files = folder / "files"
        self.model = FakeModel(write_tokenizer(folder))
        self.library = Library(self.home, resolve=lambda name: self.model)

    @property
    def directory(self) -> Path:
        return self.home / "collections" / NAME

    def write_files(self, count: int = 6) -> None:
        self.files.mkdir(exist_ok=True)
        for number in range(count):
            text = f"# Paper {number}\n\n## Part\n\n" + f"Sentence {number} about things. " * 60
            (self.files / f"{number:03}.md").write_text(text)

    def index(self, name: str = NAME) -> IndexReport:
        with open_or_create(self.library, name, self.model) as collection:
            return self.index_into(collection)

    def index_into(self, collection: Collection) -> IndexReport:
        return index_paths(
            collection,
            [self.files],
            embedder=lambda: FakeEmbedder(self.model),
            options=IndexOptions(jobs=1),
        )

    def copy(self, folder: Path) -> Place:
        """Return another place with a copy of this one's home, over the same files and model."""
        shutil.copytree(self.home, folder / "home")
        return self.elsewhere(folder)

    def elsewhere(self, folder: Path) -> Place:
        """Return a place with a home of its own, over the same files and model."""
        other = object.__new__(Place)
        other.folder, other.files, other.model = folder, self.files, self.model
        other.home = folder / "home"
        other.library = Library(other.home, resolve=lambda name: self.model)
        return other


def make_place(folder: Path) -> Place:
    """Return a place with a collection of a few documents, at rest."""
    place = Place(folder)
    place.write_files()
    place.index()
    return place


def open_place(folder: Path, home: Path) -> Place:
    """Return the place that another process made in a folder, with another home."""
    place = object.__new__(Place)
    place.folder, place.files, place.home = folder, folder / "files", home
    place.model = FakeModel(folder / "tokenizer.json")
    place.library = Library(home, resolve=lambda name: place.model)
    return place


def manifest_of(file: Path) -> Manifest:
    """Return what an archive says of itself."""
    with open_archive(file) as archive:
        return read_manifest(archive)
