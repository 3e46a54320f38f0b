"""Any sequence of changes leaves a store that answers as a plain loop over its content does."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import pytest

from indexer.documents import Chunk, embedding_text
from indexer.searching.filters import Where
from indexer.searching.stemming import stems
from indexer.searching.words import terms
from tests.indexer.stores.content import FAISS_STORES, Opened, make_document, open_store, vector_of

WORDS = [
    "apple",
    "bear",
    "cloud",
    "door",
    "eagle",
    "flame",
    "grass",
    "house",
    "iron",
    "juice",
    "running",
    "runner",
]
TYPES = ("pdf", "text", "markdown")
CONTEXT_WEIGHT = 1.5
K1, B = 1.2, 0.75


@dataclass
class Oracle:
    """The same content in a dictionary, searched by brute force."""

    documents: dict[str, tuple[str, float, list[Chunk]]] = field(default_factory=dict)

    def chunks(self, where: Where | None = None) -> list[Chunk]:
        return [
            chunk
            for name, (media_type, modified_at, chunks) in self.documents.items()
            if not where
            or (
                (not where.media_types or media_type in where.media_types)
                and (where.modified_after is None or modified_at >= where.modified_after)
                and where.matches_path(f"/home/me/{name}")
            )
            for chunk in chunks
        ]

    def cosines(self, query: str, where: Where | None) -> dict[str, float]:
        vector = vector_of(query)
        return {
            chunk.id: float(vector @ vector_of(embedding_text(chunk)))
            for chunk in self.chunks(where)
        }

    def bm25(self, query: str, where: Where | None) -> dict[str, float]:
        """Return the scores by the formula that FTS5 documents, words that match alone."""
        everything = self.chunks()
        counts = {chunk.id: (_stemmed(chunk.context), _stemmed(chunk.text)) for chunk in everything}
        lengths = {identity: len(a) + len(b) for identity, (a, b) in counts.items()}
        average = sum(lengths.values()) / max(len(lengths), 1)
        asked: dict[str, int] = {}
        for word, repeats in terms(query).words.items():
            (stem,) = stems([word])
            asked[stem] = asked.get(stem, 0) + repeats
        total = len(everything)
        frequencies = {
            stem: sum(stem in a or stem in b for a, b in counts.values()) for stem in asked
        }
        known = {stem for stem in asked if frequencies[stem]}
        scores: dict[str, float] = {}
        for chunk in self.chunks(where):
            context, text = counts[chunk.id]
            for stem in known:
                found = CONTEXT_WEIGHT * context.count(stem) + text.count(stem)
                if found:
                    frequency = frequencies[stem]
                    rarity = max(math.log((total - frequency + 0.5) / (frequency + 0.5)), 1e-6)
                    norm = K1 * (1 - B + B * lengths[chunk.id] / average)
                    part = rarity * found * (K1 + 1) / (found + norm)
                    scores[chunk.id] = scores.get(chunk.id, 0.0) + asked[stem] * part
        return scores


def _stemmed(text: str) -> list[str]:
    return stems(text.replace(".", " ").split())


def check(opened: Opened, oracle: Oracle, draw: random.Random) -> None:
    where = draw.choice(
        [
            None,
            Where(media_types=(draw.choice(TYPES),)),
            Where(path_glob=f"*{draw.randrange(10)}"),
            Where(modified_after=float(draw.randrange(100))),
        ]
    )
    query = " ".join(draw.choices(WORDS, k=3))
    top_k = draw.choice([1, 3, 10, 1000])
    assert len(opened.store) == len(oracle.chunks())
    (dense,) = opened.store.search(vector_of(query)[None], top_k=top_k, where=where)
    lexical = opened.store.search_text(query, top_k=top_k, where=where)
    for hits, scores in (
        (dense, oracle.cosines(query, where)),
        (lexical, oracle.bm25(query, where)),
    ):
        expected = sorted(scores.values(), reverse=True)[:top_k]
        assert [hit.score for hit in hits] == pytest.approx(expected, abs=1e-5)
        assert [hit.score for hit in hits] == pytest.approx(
            [scores[hit.chunk_id] for hit in hits], abs=1e-5
        )
        assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))
    sample = [chunk.id for chunk in draw.sample(oracle.chunks(), min(5, len(oracle.chunks())))]
    words = oracle.bm25(query, None)
    assert opened.store.text_scores(query, sample) == pytest.approx(
        {identity: words.get(identity, 0.0) for identity in sample}, abs=1e-5
    )


@pytest.mark.parametrize(
    ("kind", "seed"),
    [*(("faiss", seed) for seed in range(6)), *((kind, 6) for kind in FAISS_STORES[1:])],
)
def test_the_store_agrees_with_a_plain_loop(kind: str, tmp_path, seed: int) -> None:
    draw = random.Random(seed)
    oracle = Oracle()
    opened, other = open_store(kind, tmp_path), open_store(kind, tmp_path)
    for _ in range(60):
        action = draw.choice(["add", "add", "add", "delete", "flush", "reopen"])
        name = f"{draw.randrange(20)}"
        if action == "add":
            media_type, modified_at = draw.choice(TYPES), float(draw.randrange(100))
            passages = [
                " ".join(draw.choices(WORDS, k=draw.randint(1, 6))) + "."
                for _ in range(draw.randrange(4))
            ]
            context = draw.choice(["", draw.choice(WORDS)])
            opened.add(
                name, passages, modified_at=modified_at, media_type=media_type, context=context
            )
            _, chunks = make_document(name, passages, context=context)
            oracle.documents[name] = (media_type, modified_at, chunks)
        elif action == "delete":
            assert opened.delete(name) == (name in oracle.documents)
            oracle.documents.pop(name, None)
        elif action == "flush":
            opened.store.flush()
        else:
            opened.close()
            opened = open_store(kind, tmp_path)
        check(draw.choice([opened, other]), oracle, draw)
    opened.close()
    check(other, oracle, draw)
    other.close()
