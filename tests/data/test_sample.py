"""The sample corpus is what its README says, and its binaries are what its script builds."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import docx
import lxml.html
import pypdf
import pytest
from docx.table import Table
from markdown_it import MarkdownIt

DATA = Path(__file__).resolve().parents[2] / "data"
SAMPLE = DATA / "sample"
DOCUMENTS = SAMPLE / "documents"
BINARIES = sorted(path for path in DOCUMENTS.rglob("*") if path.suffix in (".pdf", ".docx"))

# Words that carry no topic: articles, pronouns, prepositions, conjunctions, auxiliaries, adverbs
# of degree, and the verbs with which questions are put.
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about above after again all almost along also although always am among an and another
        any anybody anyone anything are around as at away be because been before behind being
        below beneath beside between beyond both but by can cannot could did do does doing done
        down during each either else enough even ever every everybody everyone everything few for
        from get gets getting given go goes going gone got had has have having he her here him his
        how however i if in into is it its itself just least less let like many may me might more
        most much must my near neither never no nobody none nor not nothing now of off often on
        once one ones only onto or other others our out over own per perhaps quite rather same
        shall she should since so some somebody someone something still such than that the their
        them themselves then there these they this those though through thus to together too
        towards under until up upon us very was we well were what whatever when whenever where
        whether which while who whole whom whose why will with within without would yet you your
        """,
    )
)
SUFFIXES = (
    *("ations", "ation", "ments", "ment", "ness", "ingly", "ings", "ing", "edly", "ions", "ion"),
    *("ies", "ers", "er", "est", "ed", "es", "ly", "s", "e", "y"),
)


def normalise(text: str) -> str:
    return " ".join(text.split())


def html_text(markup: str) -> str:
    root = lxml.html.document_fromstring(markup)
    for element in root.xpath("//script | //style | //nav | //footer | //head"):
        element.drop_tree()
    for cell in root.iter("td", "th"):
        cell.tail = f"\n{cell.tail or ''}"
    return str(root.text_content())


def markdown_text(source: str) -> str:
    if source.startswith("---\n"):
        source = source.split("---\n", 2)[2]
    return html_text(MarkdownIt("commonmark").enable("table").render(source))


def docx_text(path: Path) -> str:
    lines = []
    for block in docx.Document(str(path)).iter_inner_content():
        if isinstance(block, Table):
            lines += [cell.text for row in block.rows for cell in row.cells]
        else:
            lines.append(block.text)
    return "\n".join(lines)


def pdf_pages(path: Path) -> list[str]:
    return [normalise(page.extract_text()) for page in pypdf.PdfReader(path).pages]


@cache
def document_text(name: str) -> str:
    path = DOCUMENTS / name
    match path.suffix:
        case ".pdf":
            text = "\n".join(pdf_pages(path))
        case ".docx":
            text = docx_text(path)
        case ".html":
            text = html_text(path.read_text(encoding="utf-8"))
        case ".md":
            text = markdown_text(path.read_text(encoding="utf-8"))
        case _:
            text = path.read_text(encoding="utf-8")
    return normalise(text)


@cache
def corpus_names() -> tuple[str, ...]:
    paths = (path for path in DOCUMENTS.rglob("*") if path.is_file())
    return tuple(sorted(path.relative_to(DOCUMENTS).as_posix() for path in paths))


@cache
def queries() -> dict[str, dict[str, Any]]:
    lines = (SAMPLE / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["_id"] for row in rows}) == len(rows)
    return {row["_id"]: row for row in rows}


@cache
def qrels() -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    with (SAMPLE / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        assert rows.fieldnames == ["query-id", "corpus-id", "score"]
        for row in rows:
            grades = judged.setdefault(row["query-id"], {})
            assert row["corpus-id"] not in grades, row
            grades[row["corpus-id"]] = int(row["score"])
    return judged


def stem(word: str) -> str:
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word.removesuffix(suffix)
            break
    if len(word) > 3 and word[-1] == word[-2]:  # stopped, stop
        word = word[:-1]
    return word[:-1] + "y" if word.endswith("i") else word


def content_stems(text: str) -> set[str]:
    words = re.findall(r"[^\W_]+", re.sub(r"['\u2019]\w{1,2}\b", "", text.lower()))
    return {stem(word) for word in words if word not in STOP_WORDS}


def shared_stems(query: str, passage: str) -> set[tuple[str, str]]:
    """Return the pairs of stems that are equal, or one of which begins with the other."""
    return {
        (asked, told)
        for asked in content_stems(query)
        for told in content_stems(passage)
        if asked == told
        or (min(len(asked), len(told)) >= 4 and (asked.startswith(told) or told.startswith(asked)))
    }


def test_the_corpus_has_its_formats_and_size() -> None:
    formats = Counter(Path(name).suffix for name in corpus_names())
    assert formats == {".md": 20, ".html": 8, ".pdf": 8, ".docx": 6, ".txt": 6}
    assert sum((DOCUMENTS / name).stat().st_size for name in corpus_names()) < 2_000_000


@pytest.mark.parametrize("name", corpus_names())
def test_every_document_has_a_sensible_length(name: str) -> None:
    assert 300 <= len(document_text(name).split()) <= 1500


@pytest.mark.parametrize("path", [p for p in BINARIES if p.suffix == ".pdf"], ids=lambda p: p.stem)
def test_every_pdf_has_several_pages_of_text(path: Path) -> None:
    pages = pdf_pages(path)
    assert 2 <= len(pages) <= 6
    for number, page in enumerate(pages, start=1):
        assert len(page.split()) > 80
        assert page.endswith(f"Page {number}")


def test_there_are_enough_queries_of_every_kind() -> None:
    kinds = Counter(query["kind"] for query in queries().values())
    assert set(kinds) == {"plain", "paraphrase", "no_overlap"}
    assert kinds["no_overlap"] >= 20
    assert kinds.total() >= 72
    assert sum(len(grades) > 1 for grades in qrels().values()) >= 10


def test_no_query_is_asked_twice() -> None:
    texts = Counter(query["text"].lower() for query in queries().values())
    assert texts.most_common(1)[0][1] == 1


def test_every_judgement_names_a_query_and_a_document() -> None:
    assert qrels().keys() == queries().keys()
    for query_id, grades in qrels().items():
        assert grades.keys() <= set(corpus_names()), query_id
        assert set(grades.values()) <= {1, 2}, query_id
        assert 2 in grades.values(), query_id


def test_every_document_answers_a_query() -> None:
    assert {name for grades in qrels().values() for name in grades} == set(corpus_names())


@pytest.mark.parametrize("query_id", list(queries()))
def test_the_passage_stands_in_a_best_document(query_id: str) -> None:
    passage = queries()[query_id]["passage"]
    best = [name for name, grade in qrels()[query_id].items() if grade == 2]
    assert passage == normalise(passage)
    assert any(passage in document_text(name) for name in best)


@pytest.mark.parametrize("query_id", [k for k, q in queries().items() if q["kind"] == "no_overlap"])
def test_a_no_overlap_query_shares_no_content_word_with_its_passage(query_id: str) -> None:
    query = queries()[query_id]
    assert content_stems(query["text"])
    assert shared_stems(query["text"], query["passage"]) == set()


@pytest.mark.parametrize(
    ("query", "passage", "shared"),
    [
        ("How do I stop it dripping?", "The tap drips.", {("drip", "drip")}),
        ("mayo", "A split mayonnaise", {("mayo", "mayonnais")}),
        ("the landlord's keys", "one key", {("key", "key")}),
        ("What is it about?", "What about it is that", set()),
    ],
)
def test_shared_stems_sees_inflections(query: str, passage: str, shared: set[Any]) -> None:
    assert shared_stems(query, passage) == shared


def test_the_script_rebuilds_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    script = DATA / "build_sample.py"
    source = script.read_text(encoding="utf-8")
    pinned = re.search(r"^BUILT_WITH = \{.*?\}$", source, re.MULTILINE | re.DOTALL)
    assert pinned is not None
    built_with = json.loads(pinned[0].removeprefix("BUILT_WITH = "))
    found = {name: importlib.metadata.version(name) for name in built_with}
    if found != built_with:
        pytest.skip(f"the files were built with {built_with}, installed is {found}")
    subprocess.run(
        [sys.executable, str(script), "--output", str(tmp_path)], check=True, capture_output=True
    )
    rebuilt = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert rebuilt == [path.relative_to(DOCUMENTS) for path in BINARIES]
    changed = [
        name
        for name in rebuilt
        if (tmp_path / name).read_bytes() != (DOCUMENTS / name).read_bytes()
    ]
    assert changed == []
