from __future__ import annotations

import pytest

from app.reading.reader import locate, window
from indexer.documents import Chunk, Document

TEXT = "\n".join(f"This is line {number} of the text." for number in range(500))


@pytest.mark.parametrize("start", [0, 3000, len(TEXT) - 10])
@pytest.mark.parametrize("reach", [0, 50, 2000, 10**6])
def test_a_window_is_a_stretch_of_the_text(start: int, reach: int) -> None:
    view = window(TEXT, start, start + 10, before=reach, after=reach)
    assert view.passage == TEXT[start : start + 10]
    whole = view.before + view.passage + view.after
    assert whole in TEXT
    assert TEXT.startswith(whole) == view.is_start
    assert TEXT.endswith(whole) == view.is_end
    assert len(view.before) >= min(reach, start)
    assert len(view.before) <= reach + 200


def test_a_window_begins_and_ends_with_whole_lines() -> None:
    view = window(TEXT, 3000, 3010, before=500, after=500)
    assert view.before.startswith("This is line")
    assert view.after.endswith("of the text.")


def test_text_without_breaks_is_cut_where_it_must() -> None:
    view = window("x" * 10_000, 5000, 5001, before=100, after=100)
    assert (len(view.before), len(view.after)) == (100, 100)


def document(text: str) -> Document:
    return Document("d", "/d.txt", text, "d", "text", ())


def chunk(text: str, start: int) -> Chunk:
    return Chunk("c", "d", text, start, start + len(text), None, "")


def test_a_passage_is_found_where_it_was_or_where_it_moved_to() -> None:
    assert locate(document("one two three"), chunk("two", 4)) == (4, 7)
    assert locate(document("zero one two three"), chunk("two", 4)) == (9, 12)
    assert locate(document("something else"), chunk("two", 4)) is None
