"""From an indexed collection to a file that training reads."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from indexer.adaptation.mix import PairMix
from indexer.adaptation.pair_making import make_pairs
from indexer.collections.library import Collection, Library
from indexer.errors import FingerprintMismatchError, UsageError
from indexer.indexing.index_report import IndexOptions
from indexer.indexing.pipeline import index_paths
from tests.indexer.fake_model import FakeEmbedder, FakeModel, write_tokenizer
from tests.indexer.generation_making import draft_index, swap

MATERIALS = {
    "stone": "quarries masons granite heavy arches",
    "wood": "forests carpenters oak warm planks",
    "rope": "harbours sailors hemp swaying knots",
    "steel": "furnaces welders girders shining bolts",
    "iron": "foundries smiths rivets rusty chains",
    "brick": "kilns bricklayers mortar red vaults",
    "glass": "workshops glaziers sand brittle panes",
    "clay": "pits potters loam soft tiles",
    "straw": "fields thatchers barley yellow bundles",
    "paper": "mills printers pulp thin sheets",
}


def document(material: str) -> str:
    source, people, stuff, look, parts = MATERIALS[material].split()
    return (
        f"# Bridges of {material}\n\n## Building\n\n"
        f"A bridge of {material} begins in {source} with {stuff}. Many {people} put {parts} "
        f"together there. It looks {look} for a whole year.\n\n## Repair\n\n"
        f"When {parts} grow old the {look} bridge is closed. People then call {people} instead. "
        f"New {stuff} arrives from {source} before the winter comes.\n"
    )


@pytest.fixture
def embedder(tmp_path: Path) -> FakeEmbedder:
    return FakeEmbedder(FakeModel(write_tokenizer(tmp_path)))


@pytest.fixture
def collection(tmp_path: Path, embedder: FakeEmbedder) -> Iterator[Collection]:
    library = Library(tmp_path / "home", resolve=lambda name: embedder.info)
    folder = tmp_path / "files"
    folder.mkdir()
    for material in MATERIALS:
        (folder / f"{material}.md").write_text(document(material), encoding="utf-8")
    with library.create("bridges", model="fake") as collection:
        index_paths(collection, [folder], embedder=lambda: embedder, options=IndexOptions())
        yield collection


def lines(file: Path) -> list[dict[str, object]]:
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def test_lines_are_what_training_reads(
    collection: Collection, embedder: FakeEmbedder, tmp_path: Path
):
    from gircse_core.training.pairs import read_pairs

    file = tmp_path / "made" / "pairs.jsonl.gz"
    report = make_pairs(collection, file, embedder=embedder, mix=PairMix(pairs=80))

    found = lines(file)
    assert report.pairs == len(found) == 80
    assert report.kinds.keys() >= {"sentence", "keywords", "title", "cloze"}
    assert {line["source"] for line in found} == {f"bridges#{kind}" for kind in report.kinds}
    passages = [stored.chunk.text for batch, _ in collection.store.scroll() for stored in batch]
    assert report.passages == len(passages)
    for line in found:
        assert line["query"] != line["pos"]
        assert len(line["neg"]) <= 2
        assert all(any(text in negative for text in passages) for negative in line["neg"])
        assert line["pos"] not in line["neg"]
    assert sum(len(line["neg"]) for line in found) > 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    pairs = read_pairs([file])
    assert list(pairs.sources) == ["bridges"]
    assert len(pairs) == 80


def test_equal_runs_write_equal_files(
    collection: Collection, embedder: FakeEmbedder, tmp_path: Path
):
    files = [tmp_path / name for name in ("a.jsonl.gz", "b.jsonl.gz", "c.jsonl.gz")]
    for file, seed in zip(files, (0, 0, 1), strict=True):
        make_pairs(collection, file, embedder=embedder, mix=PairMix(pairs=80, seed=seed))

    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()


def test_without_negatives_no_model_is_asked(
    collection: Collection, embedder: FakeEmbedder, tmp_path: Path
):
    embedder.embed_queries = None  # type: ignore[method-assign]

    file = tmp_path / "pairs.jsonl.gz"
    make_pairs(collection, file, embedder=embedder, mix=PairMix(pairs=80, negatives=0))

    assert {tuple(line["neg"]) for line in lines(file)} == {()}


class EchoWriter:
    """Writes a query from two words of the passage."""

    def write(self, prompts: Sequence[str], *, blank_prompts: Sequence[str]) -> Iterator[str]:
        for prompt in prompts:
            material = prompt.partition("Bridges of ")[2].split()[0]
            part = "mended" if "grows old" in prompt else "made"
            yield f"how {material} bridges get {part}"

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        return [
            float(answer.split()[1] in prompt)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]


def test_written_queries_join_the_mix(
    collection: Collection, embedder: FakeEmbedder, tmp_path: Path
):
    file = tmp_path / "pairs.jsonl.gz"
    report = make_pairs(
        collection, file, embedder=embedder, mix=PairMix(pairs=80), writer=EchoWriter()
    )

    written = [line for line in lines(file) if line["source"] == "bridges#written"]
    assert report.writing is not None
    assert 0 < report.writing.kept == len(written)
    assert report.writing.written == report.writing.kept + sum(report.writing.dropped.values())
    for line in written:
        assert f"Bridges of {line['query'].split()[1]}" in line["pos"]


def test_too_little_text_is_refused(collection: Collection, embedder: FakeEmbedder, tmp_path: Path):
    collection.delete_documents([record.id for record in collection.store.documents()[1:]])

    with pytest.raises(UsageError, match=r"has \d passages, of which \d+ pairs can be made"):
        make_pairs(collection, tmp_path / "p.jsonl.gz", embedder=embedder)

    assert not (tmp_path / "p.jsonl.gz").exists()


def test_fewer_pairs_than_training_takes_are_not_asked_for(collection, embedder, tmp_path):
    with pytest.raises(UsageError, match="60 pairs are asked for; training needs at least 64"):
        make_pairs(collection, tmp_path / "p.jsonl.gz", embedder=embedder, mix=PairMix(pairs=60))


def test_another_model_is_refused(collection: Collection, tmp_path: Path):
    other = FakeEmbedder(FakeModel(tmp_path / "tokenizer.json", weights="other"))

    with pytest.raises(FingerprintMismatchError, match="weights: 0123 / other"):
        make_pairs(collection, tmp_path / "p.jsonl.gz", embedder=other)


def test_documents_that_go_meanwhile_are_left_out(
    collection: Collection, embedder: FakeEmbedder, tmp_path: Path
):
    def delete(activity: str, done: int, total: int) -> None:
        collection.delete_documents([one.id for one in collection.store.documents()])

    file = tmp_path / "pairs.jsonl.gz"
    mix = PairMix(pairs=70, passages=7)  # the negatives are of other passages, too
    make_pairs(collection, file, embedder=embedder, mix=mix)
    before = lines(file)
    make_pairs(collection, file, embedder=embedder, mix=mix, on_progress=delete)
    after = lines(file)
    assert [line["query"] for line in after] == [line["query"] for line in before]
    assert sum(len(line["neg"]) for line in after) < sum(len(line["neg"]) for line in before)


def test_pairs_are_made_in_one_generation(
    collection: Collection, embedder: FakeEmbedder, tmp_path: Path
):
    numbers = []

    def swap_away(activity: str, done: int, total: int) -> None:
        swap(collection, draft_index(collection))
        with collection.using() as generation:
            numbers.append(generation.record.number)

    file = tmp_path / "pairs.jsonl.gz"
    make_pairs(collection, file, embedder=embedder, mix=PairMix(pairs=80), on_progress=swap_away)
    assert numbers == [1]
    with collection.using() as generation:
        assert generation.record.number == 2
