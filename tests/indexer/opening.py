"""Opens the collection of a test, or makes it: for what runs again after a kill."""

from __future__ import annotations

from indexer.collections.library import Collection, Library
from tests.indexer.fake_model import FakeModel


def open_or_create(library: Library, name: str, model: FakeModel) -> Collection:
    if name in library.names():
        return library.open(name)
    return library.create(name, model=model)
