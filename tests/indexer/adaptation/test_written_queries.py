"""Which of a language model's queries are kept; the model is a script, the store is real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from indexer.adaptation.pairs import Pair
from indexer.adaptation.passages import Passage, read_passages
from indexer.adaptation.written_queries import WritingReport, cleaned, copies, write_pairs_for
from tests.indexer.adaptation.content import WordEmbedder
from tests.indexer.stores.content import Opened, open_store

BRIDGE = "The stone bridge crosses the river near the mill, and the masons repaired it last year."
BREAD = "Bread rises in a warm kitchen overnight and is baked in the morning."
STARS = "Stars are born in clouds of gas between other stars."


@dataclass
class ScriptedWriter:
    """Answers as told; a query is as likely as it shares words with the prompt, unless told."""

    answers: dict[str, str]
    likely: dict[str, float] = field(default_factory=dict)
    prompts: list[str] = field(default_factory=list)
    blank_prompts: set[str] = field(default_factory=set)

    def write(self, prompts: Sequence[str], *, blank_prompts: Sequence[str]) -> Iterator[str]:
        assert len(prompts) == len(blank_prompts)
        self.prompts += prompts
        self.blank_prompts |= set(blank_prompts)
        for prompt in prompts:
            yield next(answer for text, answer in self.answers.items() if text in prompt)

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        return [
            next(
                (value for text, value in self.likely.items() if text in prompt),
                sum(word in prompt for word in answer.split()) / len(answer.split()),
            )
            for prompt, answer in zip(prompts, answers, strict=True)
        ]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    opened = open_store("faiss", tmp_path)
    for name, text in (("bridge", BRIDGE), ("bread", BREAD), ("stars", STARS)):
        opened.add(f"{name}.md", [text], title=name)
    for number in range(30):
        opened.add(f"filler/{number}.txt", [f"Filler number {number} about nothing."])
    yield opened
    opened.close()


def run(opened: Opened, writer: ScriptedWriter, **options: int) -> tuple[list[Pair], WritingReport]:
    passages = [
        passage
        for passage in read_passages(opened.store, limit=100, seed=0)
        if passage.text in (BRIDGE, BREAD, STARS)
    ]
    report = WritingReport()
    pairs = write_pairs_for(
        passages, writer, opened.store, WordEmbedder(), steps=1, report=report, **options
    )
    return list(pairs), report


def test_a_good_query_becomes_a_pair(opened: Opened):
    writer = ScriptedWriter(
        {
            BRIDGE: 'Query: "who mended the bridge over the river"\nThat is my query.',
            BREAD: "how long does bread rise",
            STARS: "where are stars born",
        }
    )

    pairs, report = run(opened, writer)

    assert {pair.passage.text: pair.query for pair in pairs} == {
        BRIDGE: "who mended the bridge over the river",
        BREAD: "how long does bread rise",
        STARS: "where are stars born",
    }
    assert {pair.kind for pair in pairs} == {"written"}
    assert (report.written, report.kept, sum(report.dropped.values())) == (3, 3, 0)
    assert all(any(text in prompt for text in (BRIDGE, BREAD, STARS)) for prompt in writer.prompts)
    (blank,) = writer.blank_prompts
    assert not any(text in blank for text in (BRIDGE, BREAD, STARS))


def test_faults_are_counted_by_their_kind(opened: Opened):
    writer = ScriptedWriter(
        {BRIDGE: "bridge", BREAD: "Rises in a warm kitchen overnight", STARS: ""}
    )

    pairs, report = run(opened, writer)

    assert pairs == []
    assert report.dropped == {"length": 2, "copy": 1}


def test_one_query_for_several_passages_is_weighed_once(opened: Opened):
    writer = ScriptedWriter(
        dict.fromkeys((BRIDGE, BREAD, STARS), "bread and stars and a bridge made of gas")
    )

    _, report = run(opened, writer)

    assert report.written == 3
    assert report.dropped["repeated"] == 2


def test_a_query_that_does_not_find_its_passage_is_dropped(opened: Opened):
    writer = ScriptedWriter(
        {
            BRIDGE: "filler number about nothing",
            BREAD: "how long does bread rise",
            STARS: "filler about nothing",
        }
    )

    pairs, report = run(opened, writer, found_within=1)

    assert [pair.passage.text for pair in pairs] == [BREAD]
    assert report.dropped == {"round trip": 2}


def test_a_query_that_fits_another_passage_better_is_dropped(opened: Opened):
    answers = {
        BRIDGE: "who mended the bridge over the river",
        BREAD: "how long does bread rise",
        STARS: "where are stars born",
    }

    pairs, report = run(opened, ScriptedWriter(answers, likely={BRIDGE: -9.0}))

    assert {pair.passage.text for pair in pairs} == {BREAD, STARS}
    assert report.dropped == {"contrast": 1}


@pytest.mark.parametrize(
    ("answer", "query"),
    [
        ("\n  how to bake bread  \nmore", "how to bake bread"),
        ("Search query: how to bake bread", "how to bake bread"),
        ("**Query:** how to bake bread", "how to bake bread"),
        ("1. how to  bake bread", "how to bake bread"),
        ("\u201chow to bake bread\u201d", "how to bake bread"),
        ("query language of databases", "query language of databases"),
        ("", ""),
    ],
)
def test_answers_are_reduced_to_the_query(answer: str, query: str):
    assert cleaned(answer) == query


def test_copies_are_told_from_queries():
    assert copies("a warm KITCHEN, overnight", BREAD)
    assert copies(f"I would like to know whether {BRIDGE}", BRIDGE)
    assert not copies("kitchen", BREAD)  # a single word is no copy
    assert not copies("does bread rise in a kitchen overnight", BREAD)


def test_a_passage_is_cut_off_from_the_request():
    from indexer.adaptation.query_prompts import query_prompt

    demanding = Passage("c", "d", "", "", "x", "Ignore all this. " * 1000)
    prompt = query_prompt(demanding)

    assert prompt.endswith("\n\nSearch query:")
    assert len(prompt) < 3000
