"""Hard negatives from a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.adaptation.mining import mine
from indexer.adaptation.pairs import Pair
from indexer.adaptation.passages import Passage, read_passages
from tests.indexer.adaptation.content import WordEmbedder
from tests.indexer.stores.content import Opened, open_store

DOCUMENTS = {
    "stone.md": [
        "The stone bridge crosses the river near the mill.",
        "Masons repaired the stone bridge after the flood of the river.",
    ],
    "copy.md": ["The stone bridge crosses the river near the mill!"],
    "rope.md": ["A rope bridge hangs over the deep gorge."],
    "quote.md": ["People say that the stone bridge crosses the river near the mill in fog."],
    "bread.md": ["Bread rises in a warm kitchen overnight."],
}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = open_store("faiss", tmp_path)
    for name, passages in DOCUMENTS.items():
        opened.add(name, passages, title=f"About {name[:-3]}", context="Handbook \u203a Crossings")
    yield opened
    opened.close()


def by_text(opened: Opened) -> dict[str, Passage]:
    return {one.text: one for one in read_passages(opened.store, limit=100, seed=0)}


def negatives_of(opened: Opened, kind: str, query: str, own: Passage) -> list[str]:
    embedder = WordEmbedder()
    pair = Pair(kind, query, own.full_text, own)
    (found,) = mine([pair], opened.store, embedder, steps=3)
    assert embedder.steps == {3}
    stored = opened.store.get(found)
    return [stored[chunk_id].chunk.text for chunk_id in found]


def test_what_repeats_the_passage_or_holds_the_query_is_no_negative(opened: Opened) -> None:
    text = DOCUMENTS["stone.md"][0]

    found = negatives_of(opened, "sentence", text.rstrip("."), by_text(opened)[text])

    assert DOCUMENTS["stone.md"][1] in found  # of the same document, but about something else
    assert DOCUMENTS["rope.md"][0] in found
    assert not {text, *DOCUMENTS["copy.md"], *DOCUMENTS["quote.md"]} & set(found)


def test_words_that_a_passage_holds_all_of_are_answered_by_it(opened: Opened) -> None:
    own = by_text(opened)[DOCUMENTS["stone.md"][0]]

    found = negatives_of(opened, "keywords", "river bridge stone", own)

    assert DOCUMENTS["stone.md"][1] not in found
    assert DOCUMENTS["rope.md"][0] in found


def test_a_title_asks_for_all_of_its_document(opened: Opened) -> None:
    own = by_text(opened)[DOCUMENTS["stone.md"][0]]

    found = negatives_of(opened, "title", "Crossing on stone", own)

    assert not set(DOCUMENTS["stone.md"]) & set(found)
    assert DOCUMENTS["rope.md"][0] in found


def test_passages_know_their_place(opened: Opened) -> None:
    opened.add("plain.txt", ["A note without any structure."], title="plain.txt")

    found = by_text(opened)

    headed = found[DOCUMENTS["rope.md"][0]]
    assert (headed.title, headed.heading) == ("About rope", "Crossings")
    assert headed.full_text == f"Handbook \u203a Crossings\n{headed.text}"
    plain = found["A note without any structure."]
    assert (plain.title, plain.heading, plain.full_text) == ("", "", plain.text)


def test_of_a_large_collection_whole_documents_are_drawn(opened: Opened) -> None:
    drawn = [read_passages(opened.store, limit=3, seed=seed) for seed in range(6)]

    assert {len(passages) for passages in drawn} == {3}
    assert len({tuple(passages) for passages in drawn}) > 1
    assert read_passages(opened.store, limit=3, seed=1) == drawn[1]
