"""What is said of files, in words."""

from __future__ import annotations

from app.library.file_states import finished_lines
from app.work.activity import Finished
from indexer.indexing.index_report import FileOutcome


def test_causes_and_advice_are_sentences() -> None:
    scan = FileOutcome(
        source="/letters/scan.pdf",
        state="no_text",
        change="new",
        message="no text on 1 page: scanned?",
        hint="run text recognition (OCR) on it, then index again",
    )
    (line,) = finished_lines([Finished("notes", scan)])
    assert line.detail == (
        "No text on 1 page: scanned? Run text recognition (OCR) on it, then index again."
    )
