from __future__ import annotations

import datetime
import io

import docx
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pptx.util import Inches

from indexer.errors import ExtractionError
from tests.indexer.loaders.samples import (
    archive,
    read,
    replace_member,
    sections,
    slides,
    try_to_load,
    word,
    workbook,
)

LAUGHS = "".join(
    f'<!ENTITY l{i} "{"&l" + str(i - 1) + ";" if i else "ha"}{(f"&l{i - 1};" if i else "ha") * 9}">'
    for i in range(12)
)


class TestWord:
    def test_headings_paragraphs_lists_and_tables_in_order(self):
        def build(document):
            document.add_heading("Harbour", 0)
            document.add_paragraph("Intro.")
            document.add_heading("Tides", 1)
            document.add_paragraph("one", style="List Bullet")
            document.add_paragraph("two", style="List Bullet")
            document.add_paragraph("Between.")
            table = document.add_table(2, 2)
            for row, values in zip(table.rows, [("Day", "High"), ("Monday", "4.2")], strict=True):
                for cell, value in zip(row.cells, values, strict=True):
                    cell.text = value
            document.add_heading("Moon", 2)
            paragraph = document.add_paragraph("Full\tor ")
            paragraph.add_run("new").bold = True

        document = read(word(build), "a.docx")
        assert document.title == "Harbour"
        assert sections(document) == [
            ((), None, "Harbour\n\nIntro."),
            (
                ("Tides",),
                None,
                "Tides\n\n- one\n- two\n\nBetween.\n\nDay | High\nMonday | 4.2",
            ),
            (("Tides", "Moon"), None, "Moon\n\nFull\tor new"),
        ]

    def test_what_python_docx_leaves_out_is_read(self):
        def build(document):
            body = document.element.body
            for xml in (
                '<w:p {ns}><w:ins w:id="1" w:author="x"><w:r><w:t>inserted</w:t></w:r></w:ins>'
                '<w:del w:id="2" w:author="x"><w:r><w:delText>deleted</w:delText></w:r>'
                "</w:del></w:p>",
                "<w:sdt {ns}><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p>"
                "</w:sdtContent></w:sdt>",
                "<w:p {ns}><w:r><w:t>outside</w:t></w:r><w:r><w:pict><w:txbxContent><w:p><w:r>"
                "<w:t>boxed</w:t></w:r></w:p></w:txbxContent></w:pict></w:r></w:p>",
            ):
                body.insert(len(body) - 1, parse_xml(xml.format(ns=nsdecls("w"))))

        assert read(word(build), "a.docx").text == "inserted\n\ncontrolled\n\noutside\n\nboxed"

    def test_merged_cells_are_read_once(self):
        def build(document):
            table = document.add_table(1, 3)
            table.cell(0, 0).text = "wide"
            table.cell(0, 0).merge(table.cell(0, 1))
            table.cell(0, 2).text = "last"

        assert read(word(build), "a.docx").text == "wide | last"

    def test_properties(self):
        def build(document):
            document.core_properties.title = "Harbour Almanac"
            document.core_properties.author = "Ada Quay"
            document.core_properties.created = datetime.datetime(2026, 3, 2)
            document.add_paragraph("x")

        document = read(word(build), "a.docx")
        assert document.title == "Harbour Almanac"
        assert document.metadata["author"] == "Ada Quay"
        assert document.metadata["created"] == "2026-03-02 00:00:00+00:00"

    def test_billion_laughs_are_not_expanded(self):
        data = word(lambda document: document.add_paragraph("x"))
        bomb = (
            f'<?xml version="1.0"?><!DOCTYPE w [{LAUGHS}]><w:document {nsdecls("w")}><w:body>'
            "<w:p><w:r><w:t>before &l11; after</w:t></w:r></w:p></w:body></w:document>"
        )
        outcome = try_to_load(replace_member(data, "word/document.xml", bomb), "a.docx", "docx")
        assert isinstance(outcome, ExtractionError) or len(outcome.text) < 1000

    def test_external_entities_are_not_read(self, tmp_path):
        secret = tmp_path / "secret.txt"
        secret.write_text("the secret")
        data = word(lambda document: document.add_paragraph("x"))
        xml = (
            f'<!DOCTYPE w [<!ENTITY x SYSTEM "file://{secret}">]><w:document {nsdecls("w")}>'
            "<w:body><w:p><w:r><w:t>text &x;</w:t></w:r></w:p></w:body></w:document>"
        )
        assert "secret" not in read(replace_member(data, "word/document.xml", xml), "a.docx").text


class TestPowerPoint:
    def test_a_section_for_each_slide_with_notes_tables_and_groups(self):
        def build(presentation):
            presentation.core_properties.title = "Harbour Talk"
            first = presentation.slides.add_slide(presentation.slide_layouts[1])
            first.shapes.title.text = "Tides"
            first.placeholders[1].text = "high\nlow"
            first.notes_slide.notes_text_frame.text = "Speak slowly."
            second = presentation.slides.add_slide(presentation.slide_layouts[6])
            shape = second.shapes.add_table(2, 2, 0, 0, Inches(4), Inches(1))
            for row, values in zip(shape.table.rows, [("Day", "High"), ("Mo", "4.2")], strict=True):
                for cell, value in zip(row.cells, values, strict=True):
                    cell.text = value
            group = second.shapes.add_group_shape()
            group.shapes.add_textbox(0, 0, 10, 10).text_frame.text = "grouped"

        document = read(slides(build), "a.pptx")
        assert document.title == "Harbour Talk"
        assert sections(document) == [
            (("Tides",), 1, "Tides\n\nhigh\nlow\n\nSpeak slowly."),
            ((), 2, "Day | High\nMo | 4.2\n\ngrouped"),
        ]
        assert document.metadata["slides"] == "2"

    def test_the_title_that_the_program_gives_is_none(self):
        data = slides(lambda p: p.slides.add_slide(p.slide_layouts[6]))
        assert read(data, "talk.pptx").title == "talk.pptx"


class TestSpreadsheet:
    def test_a_section_for_each_sheet_and_a_line_for_each_row(self):
        document = read(
            workbook(
                {
                    "Tides": [
                        ["Day", "High", "Checked", "Note"],
                        [datetime.date(2026, 3, 2), 4.5, True, "spring\ntide"],
                        [datetime.datetime(2026, 3, 3, 8, 30), 4.0, False, None],
                    ],
                    "Empty": [],
                    "Form": [["Harbour master", "Ada Quay"], ["Deputy", "Ben Pier"]],
                }
            ),
            "a.xlsx",
        )
        assert document.title == "a.xlsx"
        assert sections(document) == [
            (
                ("Tides",),
                None,
                "Tides\nDay: 2026-03-02; High: 4.5; Checked: true; Note: spring tide\n"
                "Day: 2026-03-03 08:30:00; High: 4; Checked: false",
            ),
            (("Form",), None, "Form\nHarbour master | Ada Quay\nDeputy | Ben Pier"),
        ]
        assert document.metadata == {"sheets": "Tides, Empty, Form"}

    def test_two_columns_with_numbers_have_a_header(self):
        data = workbook({"S": [["Day", "High"], ["Monday", 4.2]]})
        assert read(data, "a.xlsx").text == "S\nDay: Monday; High: 4.2"


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
class TestDamage:
    def test_an_archive_of_something_else(self, name):
        with pytest.raises(ExtractionError, match="damaged") as caught:
            read(archive({"hello.txt": "hello"}), name)
        assert caught.value.code == "damaged"

    def test_no_archive_at_all(self, name):
        with pytest.raises(ExtractionError) as caught:
            read(b"this is not an archive" * 10, name)
        assert caught.value.code == "damaged"

    def test_a_password(self, name):
        ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000)
        data = ole + "EncryptedPackage".encode("utf-16-le") + bytes(1000)
        with pytest.raises(ExtractionError) as caught:
            read(data, name)
        assert caught.value.code in {"encrypted", "damaged"}
        if name != "a.xlsx":
            assert caught.value.code == "encrypted"


def test_an_old_word_file_under_a_new_suffix():
    with pytest.raises(ExtractionError, match="2003 or before") as caught:
        read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000), "a.docx")
    assert caught.value.code == "unsupported"


def test_samples_open_in_their_own_libraries():
    # guards the tests above: what they alter is a valid file to begin with
    assert docx.Document(io.BytesIO(word(lambda d: d.add_paragraph("x")))).paragraphs
    assert pptx.Presentation(io.BytesIO(slides(lambda p: None))) is not None
