from __future__ import annotations

from pathlib import Path

import pytest

from indexer.loaders import HEAD_BYTES, MEDIA_TYPES, detect
from indexer.loaders.media_types import SUFFIXES
from tests.indexer.loaders.samples import archive, one_of_each

SAMPLES = one_of_each()
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


@pytest.mark.parametrize("name", SAMPLES)
def test_suffix_and_content_agree(name):
    suffix = Path(name).suffix
    assert detect(Path(name), SAMPLES[name][:HEAD_BYTES]) == SUFFIXES[suffix]


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("notes.TXT", b"hello", "text"),
        ("README", b"hello", "text"),
        ("notes.unknown", b"hello", "text"),
        ("Makefile", b"all:\n\ttrue\n", "code"),
        ("script", b"#!/bin/sh\n", "code"),
        ("page", b"\n <!-- x --> <!DOCTYPE html><p>", "html"),
        ("a.md", b"", "markdown"),
        ("nothing", b"", "text"),
        ("table.tsv", b"a\tb\n", "csv"),
        ("x.yaml", b"a: 1\n", "code"),
        ("colours.log", b"\x1b[31mred\x1b[0m\n", "text"),
    ],
)
def test_names_decide_about_text(name, head, expected):
    assert detect(Path(name), head) == expected


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("paper.txt", SAMPLES["tides.pdf"][:100], "pdf"),
        ("paper", b"\n\n%PDF-1.4", "pdf"),
        ("error.pdf", b"<html><body>404 not found", "html"),
        ("export.xls", b"<html><table>", "html"),
        ("export.xls", b"day\thigh\n", "csv"),
        ("old.xls", OLE, "xlsx"),
        ("locked.docx", OLE, "docx"),
        ("old.doc", OLE, None),
        ("book.zip", SAMPLES["tides.epub"][:HEAD_BYTES], "epub"),
        ("letter", SAMPLES["tides.docx"][:HEAD_BYTES], "docx"),
        ("files.zip", archive({"a.txt": "hello"}), None),
        ("letter.rtf", rb"{\rtf1 hello}", None),
    ],
)
def test_content_decides_where_it_is_unmistakable(name, head, expected):
    assert detect(Path(name), head) == expected


@pytest.mark.parametrize("name", ["photo.png", "photo.txt", "photo.md", "photo", "photo.py"])
def test_binary_data_is_nobodys(name):
    assert detect(Path(name), PNG) is None


def test_many_control_characters_are_binary_even_without_nul():
    assert detect(Path("a.txt"), bytes(range(1, 256)) * 4) is None


@pytest.mark.parametrize("name", ["cut.pdf", "cut.docx", "cut.xlsx", "cut.epub"])
@pytest.mark.parametrize("head", [b"", b"garbage", PNG])
def test_damaged_files_keep_the_format_of_their_suffix(name, head):
    assert detect(Path(name), head) == SUFFIXES[Path(name).suffix]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_text(encoding):
    assert detect(Path("a.txt"), "Hello, harbour office! ".encode(encoding)) == "text"


def test_no_suffix_belongs_to_two_formats():
    suffixes = [suffix for media in MEDIA_TYPES.values() for suffix in media.suffixes]
    assert len(suffixes) == len(set(suffixes))
