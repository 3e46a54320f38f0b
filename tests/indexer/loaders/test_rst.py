from __future__ import annotations

import pytest

from tests.indexer.loaders.samples import read, sections


def rst(text: str):
    return read(text.encode(), "a.rst")


def test_sections_become_heading_paths():
    document = rst(
        "Harbour\n=======\n\nWrapped\nparagraph with *emphasis* and ``code``.\n\n"
        "Tides\n-----\n\nHigh.\n\nMoon\n~~~~\n\nFull.\n\nBoats\n-----\n\nIn.\n"
    )
    assert document.title == "Harbour"
    assert sections(document) == [
        ((), None, "Harbour\n\nWrapped paragraph with emphasis and code."),
        (("Tides",), None, "Tides\n\nHigh."),
        (("Tides", "Moon"), None, "Moon\n\nFull."),
        (("Boats",), None, "Boats\n\nIn."),
    ]


def test_the_header_of_a_pep_is_metadata_and_title():
    document = rst(
        "PEP: 8\nTitle: Style ``Guide``\nAuthor: A <a@example.org>,\n        B <b@example.org>\n"
        "Status: Active\n\n\nIntroduction\n============\n\nText.\n"
    )
    assert document.title == "PEP 8 \u2013 Style Guide"
    assert document.metadata["Author"] == "A <a@example.org>, B <b@example.org>"
    assert sections(document) == [(("Introduction",), None, "Introduction\n\nText.")]


def test_a_bare_header_is_found_by_its_title():
    assert rst("PEP: 9\nTitle: Empty\n\n.. rejected::\n").text == "PEP 9 \u2013 Empty"


def test_sentences_with_colons_are_no_header():
    document = rst("Note: the harbour is closed.\nReason: ice.\n\nText.\n")
    assert document.text.startswith("Note: the harbour is closed. Reason: ice.")
    assert document.metadata == {}


def test_lists_tables_listings_and_notes():
    document = rst(
        "- one\n- two\n\n  - nested\n\n3. three\n4. four\n\nterm\n    definition\n\n"
        "====== =====\nDay    High\n====== =====\nMonday 4.2\n====== =====\n\n"
        "Code::\n\n    def f():\n        pass\n\n"
        ".. note:: Mind the step.\n\n.. [1] A footnote.\n\n| verse\n|   two\n"
    )
    text = document.text
    assert "- one\n- two\n  - nested" in text
    assert "3. three\n4. four" in text
    assert "term\ndefinition" in text
    assert "Day | High\nMonday | 4.2" in text
    assert "Code:\n\ndef f():\n    pass" in text
    assert "Note:\n\nMind the step." in text
    assert "[1] A footnote." in text
    assert "verse\n  two" in text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (":pep:`257` and :pep:`the guide <7>`", "PEP 257 and the guide"),
        (":rfc:`2822`", "RFC 2822"),
        (":func:`~os.path.join` in :py:mod:`os`", "join in os"),
        (":custom-role:`kept`", "kept"),
        ("see `the docs <http://example.org>`_ here", "see the docs here"),
        ("a guide [2]_.", "a guide [2]."),
        ("a guide [#]_.", "a guide."),
        (".. |v| replace:: 3.2\n\nversion |v|", "version 3.2"),
        (".. unknown:: an *argument*\n   :option: x\n\n   content", "an argument\n\ncontent"),
        (".. sourcecode:: c\n\n   int x;\n     y;", "int x;\n  y;"),
        (".. code-block:: python\n   :emphasize-lines: 1\n\n   x = 1", "x = 1"),
        (".. toctree::\n\n   a\n   b\n\ntext", "text"),
        (".. image:: a.png\n   :alt: A quay", "A quay"),
        (".. comment\n\ntext", "text"),
    ],
)
def test_markup_keeps_its_words(markup, text):
    assert rst(markup).text == text


@pytest.mark.parametrize(
    "broken",
    [
        "====== =====\nDay    High tide\n====== =====\n",
        "+---+\n| a | tide\n+---+\n",
        ".. image::\n\n   tide",
        ".. figure:: tide.png\n   :width: wide",
        "One\n===\n\nTwo\n---\n\nThree\n~~~~~\n\nFour\n===\n\ntide\n^^^^\n",
        "`tide <unclosed",
        "word " * 5000 + "tide",
    ],
)
def test_what_docutils_cannot_parse_is_not_lost(broken):
    assert "tide" in rst(f"Before.\n\n{broken}\n\nAfter.\n").text


def test_top_fields_are_metadata_and_text():
    document = rst(":Author: Ada Quay\n:Version: 2\n\nText.\n")
    assert document.metadata == {"Author": "Ada Quay", "Version": "2"}
    assert document.text == "Author: Ada Quay\n\nVersion: 2\n\nText."


def test_nothing_is_read_from_disk_or_run(tmp_path, capfd):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    document = rst(
        f".. include:: {secret}\n\n.. literalinclude:: {secret}\n\n"
        f".. csv-table::\n   :file: {secret}\n\n.. raw:: html\n   :file: {secret}\n\n"
        f".. figure:: {secret}\n\n   caption\n\n"
        ".. raw:: html\n\n   <script>steal()</script>\n\ntext ``*`` *broken\n"
    )
    assert "the secret" not in document.text
    assert "steal" not in document.text
    assert "text" in document.text
    assert capfd.readouterr() == ("", "")


def test_configuration_files_are_not_read(tmp_path, monkeypatch):
    (tmp_path / "docutils.conf").write_text("[general]\nfile_insertion_enabled: yes\n")
    (tmp_path / "secret.txt").write_text("the secret")
    monkeypatch.chdir(tmp_path)
    assert "the secret" not in rst(".. include:: secret.txt\n\ntext\n").text
