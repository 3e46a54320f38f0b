from __future__ import annotations

import pytest

from indexer.errors import ExtractionError
from tests.indexer.loaders.samples import CONTAINER, archive, epub, read, sections, try_to_load

ENCRYPTION = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
    'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:CipherData>'
    '<enc:CipherReference URI="{uri}"/></enc:CipherData></enc:EncryptedData></encryption>'
)


def test_chapters_in_spine_order_under_their_titles():
    document = read(
        epub([("High water", "<p>It rises.</p>"), ("Low", "<h1>Low water</h1><p>It falls.</p>")]),
        "a.epub",
    )
    assert document.title == "Harbour Tales"
    assert document.metadata["creator"] == "Ada Quay"
    assert sections(document) == [
        (("High water",), None, "High water\n\nIt rises."),
        (("Low water",), None, "Low water\n\nIt falls."),
    ]


def test_the_ncx_of_epub_2_names_chapters():
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
        '<item id="a" href="a.html" media-type="application/xhtml+xml"/>'
        '<item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
        '</manifest><spine toc="n"><itemref idref="a"/></spine></package>'
    )
    ncx = (
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>'
        'First</text></navLabel><content src="a.html#top"/></navPoint></navMap></ncx>'
    )
    data = archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": opf,
            "OEBPS/toc.ncx": ncx,
            "OEBPS/a.html": "<p>text</p>",
        }
    )
    document = read(data, "old.epub")
    assert document.title == "First"
    assert document.text == "First\n\ntext"


def test_protected_chapters_are_refused_and_scrambled_fonts_are_not():
    locked = {"META-INF/encryption.xml": ENCRYPTION.format(uri="OEBPS/chapter%201.xhtml")}
    with pytest.raises(ExtractionError, match="DRM") as caught:
        read(epub([("One", "<p>x</p>")], extra=locked), "a.epub")
    assert caught.value.code == "encrypted"
    font = {"META-INF/encryption.xml": ENCRYPTION.format(uri="OEBPS/font.otf")}
    assert read(epub([("One", "<p>x</p>")], extra=font), "a.epub").text == "One\n\nx"


def test_a_missing_chapter_is_named():
    data = epub([("One", "<p>x</p>")], extra={"OEBPS/book.opf": ""})
    with pytest.raises(ExtractionError, match=r"OEBPS/book\.opf") as caught:
        read(data, "a.epub")
    assert caught.value.code == "damaged"


def test_billion_laughs_are_not_expanded():
    entities = "".join(f'<!ENTITY l{i} "{(f"&l{i - 1};" if i else "ha") * 10}">' for i in range(12))
    opf = f"<!DOCTYPE package [{entities}]><package><title>&l11;</title></package>"
    data = epub([("One", "<p>x</p>")], extra={"OEBPS/book.opf": opf})
    outcome = try_to_load(data, "a.epub", "epub")
    assert isinstance(outcome, ExtractionError) or len(outcome.text) < 1000
