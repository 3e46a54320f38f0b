from __future__ import annotations

import pytest

from indexer.errors import ExtractionError
from tests.indexer.loaders.samples import read, sections


def html(text: str | bytes, name: str = "a.html"):
    return read(text if isinstance(text, bytes) else text.encode(), name)


def test_headings_title_and_metadata():
    document = html(
        "<html lang=en><head><title>Tides | Harbour</title>"
        "<meta name=author content='Ada Quay'></head><body><h1>Tides</h1><p>When <b>to</b>\n sail."
        "</p><h2>Moon</h2><div>Full<p>or new</div><h2>Sun</h2>Rises.</body></html>"
    )
    assert document.title == "Tides | Harbour"
    assert document.metadata == {"language": "en", "author": "Ada Quay"}
    assert sections(document) == [
        ((), None, "Tides\n\nWhen to sail."),
        (("Moon",), None, "Moon\n\nFull\n\nor new"),
        (("Sun",), None, "Sun\n\nRises."),
    ]


def test_scripts_styles_navigation_and_hidden_elements_are_dropped():
    document = html(
        "<body>keep<script>steal()</script>this<style>p{}</style>"
        "<nav>menu</nav><div role=navigation>menu</div><p hidden>secret<p>in <span "
        "style='color:red;display: none'>invisible</span>sight<template>t</template>"
        "<noscript>enable</noscript><div aria-hidden=true>icon</div><!-- comment --></body>"
    )
    assert document.text == "keepthis\n\nin sight"


def test_lists_tables_listings_breaks_and_images():
    document = html(
        "<ul><li>one<li>two<ol start=3><li>three<li><p>four</p></ol></ul>"
        "<dl><dt>ebb<dd>falling water</dl>"
        "<table><caption>High water</caption><tr><th>Day<th>High<tr><td>Monday<td><p>4.2<p>m"
        "</table><pre>def f():\n    pass\n</pre>a<br>b<img alt='A quay' src=x>"
    )
    assert document.text == (
        "- one\n- two\n  3. three\n  4. four\n\n"
        "ebb\n  falling water\n\n"
        "High water\n\nDay | High\nMonday | 4.2 m\n\n"
        "def f():\n    pass\n\n"
        "a\nb A quay"
    )


def test_tables_that_arrange_the_page_are_not_tables():
    document = html(
        "<table><tr><td>menu<td><h1>Tides</h1><p>High.</p><table><tr><td>a<td>b</table></table>"
        "<table role=presentation><tr><td>one<td>two</table>"
    )
    assert document.text == "menu\n\nTides\n\nHigh.\n\na | b\n\none\n\ntwo"


@pytest.mark.parametrize(
    "data",
    [
        "<meta charset=cp1252><p>Größe €</p>".encode("cp1252"),
        "<?xml version='1.0' encoding='iso-8859-15'?><html><p>Größe €</p></html>".encode(
            "iso-8859-15"
        ),
        "<?xml version='1.0' encoding='utf-8'?><html><p>Größe €</p></html>".encode(),
        "<html><p>Größe €</p></html>".encode("utf-16"),
    ],
)
def test_encodings_are_those_the_page_declares(data):
    assert html(data).text == "Größe €"


@pytest.mark.parametrize("data", ["", " ", "<!-- x -->", "<html></html>", "<p>"])
def test_empty_pages_have_no_sections(data):
    assert html(data).sections == ()


def test_a_page_that_a_script_fills_is_found_by_its_title():
    assert html("<title>Tides</title><script>fill()</script>").text == "Tides"


def test_large_texts_and_deep_nesting_are_not_lost_in_silence():
    assert len(html("<p>" + "tide " * 2_500_000).text) == 12_499_999
    assert "deep" in html("<div>" * 1500 + "deep").text
    with pytest.raises(ExtractionError, match="nested too deeply"):
        html("<div>" * 5000 + "deep")


def test_external_entities_are_not_read(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    page = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{secret}">]><html><p>&x; text</p></html>'
    assert "the secret" not in html(page).text
