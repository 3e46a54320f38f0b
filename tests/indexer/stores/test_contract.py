"""What every store does, whatever it is made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from indexer.documents import document_id, embedding_text
from indexer.searching.filters import Where
from tests.indexer.stores.content import (
    ALL_STORES,
    DIM,
    Opened,
    make_document,
    open_store,
    vector_of,
    vectors_of,
)


@pytest.fixture(params=ALL_STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def ids(chunks):
    return [chunk.id for chunk in chunks]


def test_what_was_stored_comes_back(opened: Opened) -> None:
    chunks = opened.add(
        "a.md", ["First passage.", "Second passage."], title="A", context="A \u203a Nested"
    )
    document, _ = make_document("a.md", ["First passage.", "Second passage."], title="A")

    assert len(opened.store) == 2
    assert opened.store.dim == DIM
    assert opened.store.metric == "cosine"
    assert opened.store.document(document.id) == document
    stored = opened.store.get(ids(chunks))
    assert [stored[chunk.id].chunk for chunk in chunks] == chunks
    record = stored[chunks[0].id].document
    assert record == opened.store.documents()[0]
    assert (record.title, record.chunks, record.size_bytes) == ("A", 2, 10)
    assert record.metadata == document.metadata


def test_unknown_ids_are_left_out(opened: Opened) -> None:
    (chunk,) = opened.add("a", ["alpha"])

    assert list(opened.store.get(["none", chunk.id])) == [chunk.id]
    assert opened.store.get([]) == {}
    assert opened.store.document("none") is None
    assert opened.store.vector_scores(vector_of("x"), ["none"]) == {}
    assert opened.store.text_scores("alpha", ["none", chunk.id]).keys() == {chunk.id}
    assert opened.store.lengths(["none", chunk.id]).keys() == {chunk.id}
    assert opened.store.lengths([]) == {}


def test_an_empty_store_finds_nothing(opened: Opened) -> None:
    assert len(opened.store) == 0
    assert opened.store.search(vectors_of(["x", "y"]), top_k=3) == [[], []]
    assert opened.store.search_text("anything", top_k=3) == []
    assert opened.store.documents() == []
    assert list(opened.store.scroll()) == []


def test_the_closest_come_first_with_their_cosines(opened: Opened) -> None:
    texts = [f"passage {number}" for number in range(40)]
    chunks = opened.add("a", texts)
    query = vector_of("query")

    (hits,) = opened.store.search(query[None], top_k=7)

    cosines = {chunk.id: float(query @ vector_of(chunk.text)) for chunk in chunks}
    best = sorted(cosines, key=lambda identity: -cosines[identity])[:7]
    assert [hit.chunk_id for hit in hits] == best
    assert [hit.score for hit in hits] == pytest.approx([cosines[one] for one in best], abs=1e-6)


def test_several_queries_at_once_find_what_each_finds_alone(opened: Opened) -> None:
    opened.add("a", [f"passage {number}" for number in range(60)])
    queries = vectors_of([f"query {number}" for number in range(30)])

    together = opened.store.search(queries, top_k=5)

    assert together == [opened.store.search(query[None], top_k=5)[0] for query in queries]


def test_more_than_there_is_gives_what_there_is(opened: Opened) -> None:
    chunks = opened.add("a", ["alpha", "beta"])

    assert set(opened.found("x", top_k=1000)) == set(ids(chunks))
    assert opened.found("x", top_k=0) == []
    assert set(opened.found_by_words("alpha beta", top_k=1000)) == set(ids(chunks))
    assert opened.found_by_words("alpha", top_k=0) == []


def test_equal_scores_are_in_the_order_of_ids_and_none_is_cut_off(opened: Opened) -> None:
    same = [chunk for number in range(50) for chunk in opened.add(f"{number}", ["same words"])]

    assert opened.found("same words", top_k=50) == sorted(ids(same))
    assert opened.found("same words", top_k=5) == sorted(ids(same))[:5]
    assert opened.found_by_words("same words", top_k=50) == sorted(ids(same))
    assert opened.found_by_words("same words", top_k=5) == sorted(ids(same))[:5]


def test_equal_vectors_of_different_texts_tie(opened: Opened) -> None:
    documents = [make_document(f"{number}", [f"text {number}"]) for number in range(60)]
    rows = opened.archive.append(
        [bytes([number]) * 32 for number in range(60)], np.repeat(vectors_of(["v"]), 60, axis=0)
    )
    for (document, chunks), row in zip(documents, rows, strict=True):
        opened.store.upsert(document, chunks, [row], modified_at=0.0, size_bytes=1)

    expected = sorted(chunk.id for _, chunks in documents for chunk in chunks)
    assert opened.found("query", top_k=7) == expected[:7]


@pytest.mark.parametrize(
    "bad",
    [
        np.ones((1, DIM), dtype=np.float32),
        np.full((1, DIM), np.nan, dtype=np.float32),
        np.full((1, DIM), np.inf, dtype=np.float32),
        np.eye(1, DIM + 1, dtype=np.float32),
        np.eye(1, DIM, dtype=np.float64),
        np.eye(1, DIM, dtype=np.float32)[0],
    ],
    ids=["length", "nan", "infinite", "width", "type", "rank"],
)
def test_a_query_that_is_no_unit_vector_is_refused_in_words(opened: Opened, bad) -> None:
    opened.add("a", ["alpha"])

    with pytest.raises(ValueError, match=r"vector"):
        opened.store.search(bad, top_k=3)


def test_upserting_replaces_the_whole_document(opened: Opened) -> None:
    old = opened.add("a", ["old one", "kept", "old two"])
    other = opened.add("b", ["other"])
    opened.found("old one")

    new = opened.add("a", ["kept", "new"], title="New title")

    assert len(opened.store) == 3
    assert set(opened.found("old one")) == {*ids(new), *ids(other)}
    assert opened.found_by_words("old") == []
    assert opened.store.get(ids(old)).keys() == set(ids(old)) & set(ids(new))
    assert opened.store.documents()[0].title == "New title"
    assert opened.store.documents()[0].chunks == 2


def test_a_document_may_lose_all_its_chunks(opened: Opened) -> None:
    opened.add("a", ["alpha"])
    opened.add("a", [])

    assert len(opened.store) == 0
    assert opened.found("alpha") == []
    assert [record.chunks for record in opened.store.documents()] == [0]


def test_deleting_removes_documents_with_their_chunks(opened: Opened) -> None:
    opened.add("a", ["alpha", "beta"])
    kept = opened.add("b", ["gamma"])
    opened.found("alpha")

    assert opened.delete("a", "none") == 1
    assert opened.delete("a") == 0
    assert len(opened.store) == 1
    assert opened.found("alpha") == ids(kept)
    assert opened.found_by_words("alpha beta") == []
    assert [record.source for record in opened.store.documents()] == ["/home/me/b"]


def test_half_of_the_documents_deleted_leave_no_trace(opened: Opened) -> None:
    stored = [
        opened.add(f"{number}", [f"common word {number} {part}" for part in range(5)])
        for number in range(20)
    ]
    opened.found("x")
    kept = {chunk.id for chunks in stored[::2] for chunk in chunks}
    gone = [chunk for chunks in stored[1::2] for chunk in chunks]

    assert opened.delete(*(f"{number}" for number in range(1, 20, 2))) == 10

    for _ in range(2):
        assert set(opened.found("x", top_k=1000)) == kept
        assert set(opened.found(gone[0].text, top_k=3)) <= kept
        assert set(opened.found_by_words("common word", top_k=1000)) == kept
        assert opened.store.get(ids(gone)) == {}
        assert opened.store.vector_scores(vector_of("x"), ids(gone)) == {}
        assert {one.chunk.id for found, _ in opened.store.scroll() for one in found} == kept
        where = Where(document_ids=tuple({chunk.document_id for chunk in gone}))
        assert opened.store.search(vectors_of(["x"]), top_k=9, where=where) == [[]]
        opened.store.flush()
    assert opened.store.check_index() == []


def test_an_empty_list_of_ids_deletes_nothing(opened: Opened) -> None:
    opened.add("a", ["alpha"])

    assert opened.store.delete([]) == 0
    assert len(opened.store) == 1


def test_documents_of_equal_text_live_and_die_apart(opened: Opened) -> None:
    (first,) = opened.add("a", ["twin"])
    (second,) = opened.add("b", ["twin"])
    assert set(opened.found("twin")) == {first.id, second.id}

    opened.delete("a")

    assert opened.found("twin") == [second.id]
    opened.delete("b")
    assert opened.found("twin") == []
    assert ids(opened.add("a", ["twin"])) == opened.found("twin")


def test_content_that_does_not_belong_together_is_refused_whole(opened: Opened) -> None:
    kept = opened.add("a", ["alpha"])
    document, chunks = make_document("a", ["alpha", "beta"])
    (_, strangers) = make_document("b", ["alpha", "beta"])
    moved = [dataclasses.replace(chunks[0], start=1, end=6), chunks[1]]
    for wrong_chunks, rows in (
        (chunks, [0]),
        (chunks, [0, 99]),
        (chunks, [0, -1]),
        ([chunks[0], chunks[0]], [0, 0]),
        (strangers, [0, 0]),
        (moved, [0, 0]),
    ):
        with pytest.raises(ValueError, match=document.source):
            opened.store.upsert(document, wrong_chunks, rows, modified_at=0.0, size_bytes=0)
    assert opened.found("x") == ids(kept)
    assert len(opened.store) == 1


@pytest.fixture
def library(opened: Opened) -> Opened:
    opened.add("docs/a.md", ["shared alpha"], media_type="markdown", modified_at=100.0)
    opened.add("docs/sub/b.pdf", ["shared beta"], media_type="pdf", modified_at=200.0)
    opened.add("other/c.pdf", ["shared gamma"], media_type="pdf", modified_at=300.0)
    opened.add("other/Docs.txt", ["shared delta"], media_type="text", modified_at=400.0)
    return opened


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(), "abcd"),
        (Where(media_types=("pdf",)), "bc"),
        (Where(media_types=("pdf", "markdown")), "abc"),
        (Where(path_glob="*/docs/*"), "ab"),
        (Where(path_glob="*.pdf"), "bc"),
        (Where(path_glob="*/docs/?.md"), "a"),
        (Where(path_glob="*/[!d]*/c.*"), "c"),
        (Where(path_glob="docs"), "ab"),
        (Where(path_glob="docs/sub/"), "b"),
        (Where(path_glob="c.pdf"), "c"),
        (Where(path_glob="nowhere"), ""),
        (Where(modified_after=200.0), "bcd"),
        (Where(modified_before=200.0), "a"),
        (Where(modified_after=150.0, modified_before=350.0, media_types=("pdf",)), "bc"),
        (Where(document_ids=(document_id("/home/me/other/c.pdf"), "none")), "c"),
        (Where(document_ids=("none",)), ""),
    ],
    ids=repr,
)
def test_a_filter_limits_every_way_of_asking(library: Opened, where: Where, expected: str) -> None:
    names = {"docs/a.md": "a", "docs/sub/b.pdf": "b", "other/c.pdf": "c", "other/Docs.txt": "d"}

    def letters(sources):
        return "".join(sorted(names[source.removeprefix("/home/me/")] for source in sources))

    def sources(hits):
        stored = library.store.get([hit.chunk_id for hit in hits])
        return [found.document.source for found in stored.values()]

    (dense,) = library.store.search(vectors_of(["x"]), top_k=10, where=where)
    lexical = library.store.search_text("shared", top_k=10, where=where)
    listed = library.store.documents(where=where)

    assert letters(sources(dense)) == expected
    assert letters(sources(lexical)) == expected
    assert letters(record.source for record in listed) == expected


def test_a_filter_parts_documents_that_share_a_vector(opened: Opened) -> None:
    opened.add("a", ["twin"], media_type="pdf")
    (wanted,) = opened.add("b", ["twin"], media_type="text")

    (hits,) = opened.store.search(vectors_of(["twin"]), top_k=5, where=Where(media_types=("text",)))

    assert [hit.chunk_id for hit in hits] == [wanted.id]


def test_records_are_listed_by_source_in_pages(library: Opened) -> None:
    everything = library.store.documents()

    assert [one.source for one in everything] == sorted(one.source for one in everything)
    assert library.store.documents(offset=1, limit=2) == everything[1:3]
    assert library.store.documents(offset=3, limit=10**30) == everything[3:]
    assert library.store.documents(offset=10**30) == []
    assert library.store.documents(limit=0) == []
    pdfs = Where(media_types=("pdf",))
    assert library.store.documents(where=pdfs, offset=1, limit=5) == [
        one for one in everything if one.source == "/home/me/other/c.pdf"
    ]


def test_lengths_are_bytes_of_context_and_text(opened: Opened) -> None:
    chunks = [
        *opened.add("a", ["Plain words.", "Ä😀 naïve"], title="Größe"),
        *opened.add("b", ["東京都"], title=""),
    ]

    lengths = opened.store.lengths([chunk.id for chunk in chunks])

    assert lengths == {chunk.id: len((chunk.context + chunk.text).encode()) for chunk in chunks}
    assert lengths[chunks[2].id] == 9


def test_scores_of_given_chunks_are_those_of_the_search(opened: Opened) -> None:
    words = ["red", "green", "blue", "white"]
    chunks = [
        chunk
        for number in range(30)
        for chunk in opened.add(f"{number}", [f"{words[number % 4]} house {number}"])
    ]
    query = vector_of("query")

    (dense,) = opened.store.search(query[None], top_k=30)
    exact = opened.store.vector_scores(query, ids(chunks))
    assert {hit.chunk_id: hit.score for hit in dense} == pytest.approx(exact, abs=1e-5)
    lexical = opened.store.search_text("red or green", top_k=30)
    scores = opened.store.text_scores("red or green", ids(chunks))
    assert len(lexical) == 16
    assert {hit.chunk_id: hit.score for hit in lexical} == pytest.approx(
        {identity: score for identity, score in scores.items() if score > 0}, abs=1e-5
    )
    assert {identity for identity, score in scores.items() if score == 0.0} == {
        chunk.id for chunk in chunks if "blue" in chunk.text or "white" in chunk.text
    }


def test_scrolling_yields_every_chunk_once_with_its_vector(opened: Opened) -> None:
    chunks = [
        chunk
        for number in range(7)
        for chunk in opened.add(f"{number}", [f"text {number}", "shared text"], context="C")
    ]

    batches = list(opened.store.scroll(batch_size=4))

    assert [len(stored) for stored, _ in batches] == [4, 4, 4, 2]
    scrolled = [one.chunk for stored, _ in batches for one in stored]
    assert sorted(scrolled, key=lambda one: one.id) == sorted(chunks, key=lambda one: one.id)
    vectors = np.concatenate([part for _, part in batches])
    np.testing.assert_array_equal(vectors, vectors_of([embedding_text(one) for one in scrolled]))


def test_the_chunks_of_one_document_come_in_the_order_of_its_text(opened: Opened) -> None:
    chunks = opened.add("a", ["beta", "alpha", "gamma"])
    opened.add("b", ["alpha", "delta"])

    assert opened.store.chunks(chunks[0].document_id) == chunks
    assert opened.store.chunks("none") == []


def test_a_touched_document_is_filtered_by_its_new_time(library: Opened) -> None:
    before = library.found("x")
    library.store.touch(document_id("/home/me/docs/a.md"), modified_at=500.0)
    library.store.touch("none", modified_at=500.0)

    assert library.found("x") == before
    late = library.store.documents(where=Where(modified_after=450.0))
    assert [(record.source, record.modified_at) for record in late] == [
        ("/home/me/docs/a.md", 500.0)
    ]


def test_closing_twice_is_fine_and_content_survives(opened: Opened, kind: str) -> None:
    chunks = opened.add("a", ["alpha", "beta"])
    opened.store.flush()
    opened.store.close()
    opened.store.close()

    again = open_store(kind, opened.directory)
    assert set(again.found("x")) == set(ids(chunks))
    assert again.found_by_words("beta") == [chunks[1].id]
    again.close()


def test_phrases_are_found_word_after_word(opened: Opened) -> None:
    passages = {
        "a": "The stone bridge over the river.",
        "b": "A bridge of stone; over them the sky.",
        "c": "To be or not to be.",
        "d": "Stones and bridging: a stone-bridge.",
        "e": "Cafe bridge",
        "f": "\u53e4\u3044\u77f3\u6a4b\u3092\u6e21\u308b",
        "g": "iPhone\u7528\u306e\u6a4b",
    }
    chunks = {name: opened.add(name, [text])[0].id for name, text in passages.items()}
    chunks["h"] = opened.add("h", ["stone"], context="Heading \u203a Nested")[0].id
    expected = {
        "stone bridge": "ad",
        "Stone, BRIDGES!": "ad",
        "bridge stone": "",
        "the stone": "a",
        "over the": "a",
        "to be or not to be": "c",
        "bridge": "abde",
        "caf\u00e9 bridge": "e",
        "not in there": "",
        "\u77f3\u6a4b": "f",
        "\u6a4b": "fg",
        "\u6a4b\u77f3": "",
        "iPhone \u7528": "g",
        "Heading Nested": "h",
        "Nested stone": "",  # the heading ends before the text begins
        "!?": "",
        "": "",
    }
    everything = [*chunks.values(), "unknown"]
    for phrase, names in expected.items():
        wanted = {chunks[name] for name in names}
        assert opened.store.containing(phrase) == wanted, phrase
        assert opened.store.containing(phrase, among=everything) == wanted, phrase
        assert opened.store.containing(phrase, among=[chunks["a"]]) == wanted & {chunks["a"]}
        assert opened.store.containing(phrase, among=[]) == set()
    where = Where(path_glob="*/me/d")
    assert opened.store.containing("stone bridge", where=where) == {chunks["d"]}
    assert opened.store.containing("stone", where=Where(path_glob="nowhere")) == set()


def test_stored_vectors_come_back(opened: Opened) -> None:
    chunks = opened.add("a", ["alpha", "beta"])
    vectors = opened.store.vectors([chunks[1].id, "unknown", chunks[0].id])
    assert vectors.keys() == {chunk.id for chunk in chunks}
    for chunk in chunks:
        assert vectors[chunk.id].dtype == np.float32
        assert vectors[chunk.id] == pytest.approx(vector_of(embedding_text(chunk)), abs=1e-6)
    assert opened.store.vectors([]) == {}
