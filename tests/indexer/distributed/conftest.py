import os
from pathlib import Path

import pytest

from indexer.collections.library import Library
from tests.indexer.distributed.in_process import LONG_AGO_NS
from tests.indexer.fake_model import FakeModel, write_tokenizer


class World:
    """Documents, a model, and collections to index them into."""

    def __init__(self, tmp_path: Path) -> None:
        self.model = FakeModel(write_tokenizer(tmp_path))
        self.library = Library(tmp_path / "home", resolve=lambda name: self.model)
        self.folder = tmp_path / "files"
        self.folder.mkdir()
        self.open = []

    def collection(self, name: str = "docs"):
        if name in self.library.names():
            collection = self.library.open(name)
        else:
            collection = self.library.create(name, model=self.model)
        self.open.append(collection)
        return collection

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        return path

    def write_papers(self, count: int) -> list[Path]:
        return [
            self.write(f"{n:03}.md", f"# Paper {n}\n\n" + f"Sentence {n} about things. " * 40)
            for n in range(count)
        ]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    for collection in world.open:
        collection.close()
