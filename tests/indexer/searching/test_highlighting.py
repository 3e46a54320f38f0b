"""Which words of a passage are marked."""

from __future__ import annotations

import random
import threading

import pytest

from indexer.searching.highlighting import highlights, highlights_of
from indexer.searching.stemming import stems


def marked(query: str, passage: str) -> list[str]:
    return [passage[start:end] for start, end in highlights(query, passage)]


@pytest.mark.parametrize(
    ("query", "passage", "expected"),
    [
        ("decorators", "Decorated by a decorator.", ["Decorated", "decorator"]),
        ("renew a passport", "A passport is renewed, a fee is not.", ["passport", "renewed"]),
        ("to be or not to be", "To be, that is it.", ["To", "be"]),
        ("café", "CAFE and café and cafe\u0301!", ["CAFE", "café", "cafe\u0301"]),
        ("file-name", "my_file.name (filename)", ["file", "name"]),
        ('"exact phrase" AND x*', "a phrase, exact; X marks", ["phrase", "exact", "X"]),
        ("naive", "na\u00efve", ["na\u00efve"]),
        ("言語", "自然言語と言語", ["言語", "言語"]),
        ("自然言語", "自然な言語, 自然言語", ["自然", "言語", "自然言語"]),
        ("python 比較", "PythonとRustの比較", ["Python", "比較"]),
        ("水", "飲水の水", ["水", "水"]),
        ("भाषा", "हिन्दी भाषा।", ["भाषा"]),
        ("word", "emoji \U0001f600 word \U0001f600 words", ["word", "words"]),
        ("word", "\x01word\x02 \x00word\x01\x02", ["word", "word"]),
        ("word", "", []),
        ("?!", "word?!", []),
        ("absent", "nothing of it", []),
    ],
)
def test_words_that_match_by_stem_are_marked(query, passage, expected) -> None:
    assert marked(query, passage) == expected


def test_spans_are_in_order_apart_and_inside() -> None:
    draw = random.Random(3)
    letters = [
        "run",
        "running",
        "言語",
        "処理",
        " ",
        ", ",
        "\n",
        "\x02",
        "é",
        "e\u0301",
        "\U0001f600",
    ]
    for _ in range(200):
        passage = "".join(draw.choices(letters, k=30))
        query = "".join(draw.choices(letters, k=3))
        spans = highlights(query, passage)
        flat = [position for span in spans for position in span]
        assert flat == sorted(set(flat))
        assert all(0 <= position <= len(passage) for position in flat)


def test_several_passages_give_what_each_gives_alone() -> None:
    passages = ["one word", "", "no match", "words, words", "言語"]

    together = highlights_of("word 言語", passages)

    assert together == [highlights("word 言語", passage) for passage in passages]
    assert highlights_of("word", []) == []


def test_stems_are_those_of_the_index() -> None:
    words = ["running", "Policies", "x_y", "", "\U0001f600", "relational"]
    assert stems(words) == ["run", "polici", "x", "", "", "relat"]


def test_threads_do_not_mix_up_their_passages() -> None:
    faults: list[str] = []

    def mark(word: str) -> None:
        for _ in range(100):
            if marked(word, f"{word} and others") != [word]:
                faults.append(word)

    threads = [threading.Thread(target=mark, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
