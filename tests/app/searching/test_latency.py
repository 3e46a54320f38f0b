"""Where the time of a search went, as the page says it."""

from __future__ import annotations

import re
from dataclasses import replace

from app.searching.hits import HitLook, hit_html, hits_as_csv, hits_as_json, move_text
from app.searching.latency import latency_html, latency_parts, latency_text
from app.work.uploads import UploadFolder, UploadLimits
from indexer.documents import Chunk
from indexer.searching.refining import Progress
from indexer.searching.search import Hit, SearchRequest, SearchResult
from indexer.stores.base import DocumentRecord

RESULT = SearchResult(
    request=SearchRequest("bread"),
    steps=3,
    dense_weight=0.5,
    hits=(),
    total_chunks=9,
    timings_ms={
        "load": 0.5,
        "embed": 40.0,
        "dense": 4.0,
        "lexical": 2.0,
        "fuse": 1.0,
        "fetch": 3.0,
        "total": 52.0,
    },
    steps_ms=(10.0, 9.0, 10.0, 11.0),
    fingerprint={},
    looks=4,
)
HIT = Hit(
    rank=2,
    score=0.5,
    chunk=Chunk("c", "d", "=1+1 is how a formula begins", 0, 28, None, ""),
    document=DocumentRecord("d", "/a/b.md", "Title", "markdown", 0.0, 1, 1),
    dense_score=0.4,
    dense_rank=1,
    lexical_score=None,
    lexical_rank=None,
    highlights=((16, 23),),
    first_rank=5,
)
PROGRESS = Progress(0, 3, 2, 5, "steps")


def test_every_part_of_a_search_has_its_stretch() -> None:
    parts = latency_parts(RESULT)
    assert [(part.kind, part.label) for part in parts] == [
        ("prefill", "reading"),
        ("step", "step 1"),
        ("step", "step 2"),
        ("step", "step 3"),
        ("dense", "meaning"),
        ("lexical", "words"),
        ("fuse", "fusion"),
        ("fetch", "texts"),
        ("other", "the rest"),
    ]
    assert sum(part.milliseconds for part in parts) == RESULT.timings_ms["total"]
    grown = [float(one) for one in re.findall(r"flex-grow:([\d.]+)", latency_html(RESULT))]
    assert len(grown) == len(parts)
    assert abs(sum(grown) - 1.0) < 0.01


def test_the_bar_is_said_in_words() -> None:
    assert latency_text(RESULT) == (
        "52 ms in all: reading 10 ms \u00b7 3 steps of 10 ms \u00b7 meaning 4.0 ms \u00b7 "
        "words 2.0 ms \u00b7 fusion 1.0 ms \u00b7 texts 3.0 ms \u00b7 looked 4 times"
    )
    lexical = replace(
        RESULT, steps=None, steps_ms=(), looks=1, timings_ms={"lexical": 2.0, "total": 2.0}
    )
    assert latency_text(lexical) == "2.0 ms in all: words 2.0 ms"
    without_step_0 = replace(RESULT, steps=2, steps_ms=(12.0, 9.0))
    assert "reading and 1 step 12 ms \u00b7 1 step of 9.0 ms" in latency_text(without_step_0)


def test_a_hit_says_how_it_moved_by_sign_and_in_words(tmp_path) -> None:
    assert move_text(HIT, PROGRESS) == "up 3 since step 0"
    assert move_text(replace(HIT, first_rank=1), PROGRESS) == "down 1 since step 0"
    assert move_text(replace(HIT, first_rank=2), PROGRESS) == "in place since step 0"
    assert move_text(replace(HIT, first_rank=None), PROGRESS) == "new since step 0"
    for progress in (None, Progress(0, 0, 0, 5, None)):
        assert move_text(HIT, progress) == ""
    html = hit_html(
        HIT, UploadFolder(tmp_path, UploadLimits(1, 1)), HitLook(is_open=True, progress=PROGRESS)
    )
    assert "\u25b23" in html
    assert ", up 3 since step 0</span>" in html
    assert 'aria-current="true"' in html


def test_exports_hold_every_hit_and_no_formula() -> None:
    assert "'=1+1" in hits_as_csv([HIT])
    assert '"first_rank": 5' in hits_as_json([HIT])
    assert hits_as_json([]) == "[]"
