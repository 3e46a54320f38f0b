"""Each kind of pair, from passages small enough to say what must come out."""

from __future__ import annotations

from indexer.adaptation.pairs import (
    cloze_pairs,
    consecutive_pairs,
    keyword_pairs,
    lead_pairs,
    sentence_pairs,
    title_pairs,
)
from indexer.adaptation.rarity import WordRarity
from indexer.adaptation.sentences import sentence_spans
from tests.indexer.adaptation.content import passage

FIRST = "The old stone bridge was built by hand."
SECOND = "It crosses the river north of the town."
THIRD = "Every spring the water rises to its arches."
TEXT = f"{FIRST} {SECOND}\n{THIRD}"


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def test_sentences_end_at_marks_and_blank_lines_but_not_at_initials():
    assert sentences(TEXT) == [FIRST, SECOND, THIRD]
    assert sentences(
        '  He said "stop!" Then J. Smith left, e.g. by train.\n\nA heading\n\nEnd '
    ) == [
        'He said "stop!"',
        "Then J. Smith left, e.g. by train.",
        "A heading",
        "End",
    ]
    assert sentences("\u6a4b\u304c\u3042\u308b\u3002\u5ddd\u3082\u3042\u308b\u3002") == [
        "\u6a4b\u304c\u3042\u308b\u3002",
        "\u5ddd\u3082\u3042\u308b\u3002",
    ]
    assert sentences(" \n ") == []


def test_the_heading_asks_for_its_passage_and_else_the_title():
    headed = passage(f"Floods\n\n{TEXT}", heading="Floods")
    plain = passage(TEXT, chunk="c1", document="d1")
    untitled = passage(TEXT, chunk="c2", document="d2", title="")

    made = list(title_pairs([headed, plain, untitled]))

    assert [(pair.query, pair.positive) for pair in made] == [("Floods", TEXT), ("Bridges", TEXT)]


def test_a_heading_with_many_passages_is_paired_with_the_first():
    many = [passage(f"{TEXT} Part {number}.", chunk=f"c{number}") for number in range(5)]

    assert [pair.passage for pair in title_pairs(many)] == many[:1]
    assert [pair.passage for pair in title_pairs(many[:4])] == many[:4]


def test_consecutive_passages_are_of_one_document():
    chunks = [
        passage(FIRST, chunk="c0"),
        passage(SECOND, chunk="c1"),
        passage(THIRD, chunk="c2", document="d1"),
        passage("Too short.", chunk="c3", document="d1"),
    ]

    (made,) = consecutive_pairs(chunks)

    assert (made.query, made.positive, made.passage) == (FIRST, SECOND, chunks[1])


def test_a_sentence_asks_for_the_passage_that_holds_it():
    made = list(sentence_pairs([passage(TEXT)], per_passage=5))

    assert sorted(pair.query for pair in made) == sorted([FIRST, SECOND, THIRD])
    assert {pair.positive for pair in made} == {f"Bridges\n{TEXT}"}
    assert len(list(sentence_pairs([passage(TEXT)], per_passage=2))) == 2
    assert list(sentence_pairs([passage("Short. Also short.")], per_passage=2)) == []
    assert list(sentence_pairs([passage(FIRST)], per_passage=2)) == []  # it would ask for itself


def test_a_cloze_leaves_its_sentence_out():
    made = {pair.query: pair.positive for pair in cloze_pairs([passage(TEXT)], per_passage=5)}

    assert made == {
        FIRST: f"Bridges\n{SECOND}\n{THIRD}",
        SECOND: f"Bridges\n{FIRST} {THIRD}",
        THIRD: f"Bridges\n{FIRST} {SECOND}",
    }
    assert list(cloze_pairs([passage(FIRST)], per_passage=5)) == []  # nothing would be left


def test_the_lead_asks_for_the_rest():
    (made,) = lead_pairs([passage(TEXT), passage(FIRST, chunk="c1")])

    assert (made.query, made.positive) == (FIRST, f"{SECOND}\n{THIRD}")


def test_keywords_are_the_telling_words_of_a_passage():
    corpus = [
        passage("The viaduct and the aqueduct cross the river in 1887.", chunk="c0"),
        passage("An aqueduct carries water.", chunk="c1"),
        passage("A viaduct carries trains over the river.", chunk="c2"),
        *(passage(f"The river is wide at mile {n}.", chunk=f"x{n}") for n in range(20)),
    ]
    rarity = WordRarity([one.text for one in corpus])

    made = list(keyword_pairs(corpus[:1], rarity, per_passage=8))

    assert len(made) == 8
    for pair in made:
        words = pair.query.split()
        assert len(words) == len(set(words))
        assert {"viaduct", "aqueduct"} <= set(words) <= {"viaduct", "aqueduct", "river"}
        assert pair.positive == corpus[0].full_text
    assert len({pair.query for pair in made}) > 1  # in another order, too
    assert made == list(keyword_pairs(corpus[:1], rarity, per_passage=8))


def test_rarity_knows_words_by_their_stem():
    rarity = WordRarity(["Bridges of stone", "A bridge of wood", "Bread", "Wine"])

    assert rarity.frequency("bridge") == rarity.frequency("bridges") == 2
    assert rarity.weight("bread") > rarity.weight("bridge") >= 0
    assert rarity.frequency("absent") == 0
