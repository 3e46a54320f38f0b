from __future__ import annotations

import json

import pytest

from indexer.errors import ExtractionError
from tests.indexer.loaders.samples import read, sections, try_to_load


class TestDelimited:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.csv", 'Day,High,Note\nMonday,4.2,"spring,\n tide"\n\nTuesday,4.4,\n'),
            ("a.csv", 'Day;High;Note\nMonday;4.2;"spring,\n tide"\nTuesday;4.4;\n'),
            ("a.tsv", 'Day\tHigh\tNote\nMonday\t4.2\t"spring,\n tide"\nTuesday\t4.4\t\n'),
            ("a.csv", 'Day|High|Note\nMonday|4.2|"spring,\n tide"\nTuesday|4.4|\n'),
        ],
    )
    def test_a_line_for_each_row_whatever_the_delimiter(self, name, text):
        assert read(text.encode(), name).text == (
            "Day: Monday; High: 4.2; Note: spring, tide\nDay: Tuesday; High: 4.4"
        )

    def test_rows_without_a_header(self):
        assert read(b"1,2\n3,4\n", "a.csv").text == "1 | 2\n3 | 4"

    def test_more_cells_than_headers(self):
        assert read(b"a,b,c\n1,2,3,4\n", "a.csv").text == "a: 1; b: 2; c: 3; 4"

    def test_prose_in_two_columns_has_a_header(self):
        text = "question,answer\nWhen?,High water comes two hours after the moon has passed.\n"
        assert read(text.encode(), "a.csv").text.startswith("question: When?; answer: High water")

    def test_unbalanced_quotes_cost_no_text(self):
        assert "Tuesday" in read(b'a,b,c\n"Monday,1,2\nTuesday,3,4\n', "a.csv").text

    def test_a_cell_past_the_bound_names_its_line(self, monkeypatch):
        monkeypatch.setattr("indexer.loaders.delimited._MAX_CELL_CHARS", 20_000)
        with pytest.raises(ExtractionError, match="line 2 of the table") as caught:
            read(b"a,b,c\n1,2," + b"x" * 20_001, "a.csv")
        assert caught.value.code == "invalid"


class TestJson:
    def test_lines_of_paths_and_values(self):
        value = {
            "title": "Tides",
            "place": {"name": "Harbour", "depth": 4.5, "open": True, "closed": None},
            "tags": ["sea", "moon"],
            "days": [{"day": "Monday"}, {"day": "Tuesday"}],
            "text": "one\n\ntwo",
        }
        document = read(json.dumps(value).encode(), "a.json")
        assert document.title == "Tides"
        assert document.text == (
            "title: Tides\nplace.name: Harbour\nplace.depth: 4.5\nplace.open: true\n"
            "tags: sea, moon\ndays[0].day: Monday\ndays[1].day: Tuesday\ntext: one\ntwo"
        )

    def test_records_of_a_list_are_paragraphs(self):
        document = read(b'[{"a": 1, "b": 2}, {"a": 3}, "plain"]', "a.json")
        assert document.text == "a: 1\nb: 2\n\na: 3\n\nplain"

    def test_a_number_longer_than_python_takes_is_read_as_written(self):
        assert (
            read(b'{"a": -%b, "b": 2}' % (b"9" * 5000), "a.json").text == f"a: -{'9' * 5000}\nb: 2"
        )

    def test_records_of_json_lines_are_paragraphs(self):
        document = read(b'\xef\xbb\xbf{"a": 1}\n\n{"a": 2}\n', "a.jsonl")
        assert document.text == "a: 1\n\na: 2"
        assert len(sections(document)) == 1

    @pytest.mark.parametrize(
        ("name", "data", "place"),
        [
            ("a.json", b'{"a": 1,\n "b": }', "line 2, column 7"),
            ("a.json", b"{", "line 1, column 2"),
            ("a.jsonl", b'{"a": 1}\n{"a": 2}\n{"a"}\n', "line 3, column 5"),
        ],
    )
    def test_invalid_json_names_line_and_column(self, name, data, place):
        with pytest.raises(ExtractionError, match=place) as caught:
            read(data, name)
        assert caught.value.code == "invalid"

    @pytest.mark.parametrize("depth", [500, 200_000])
    def test_deep_nesting_is_read_or_refused(self, depth):
        data = b'{"a":' * depth + b"1" + b"}" * depth
        outcome = try_to_load(data, "a.json", "json")
        if isinstance(outcome, ExtractionError):
            assert outcome.code == "invalid"
        else:
            assert outcome.text.endswith("a: 1")

    def test_notebooks_are_read_as_their_cells(self):
        cells = [
            {"cell_type": "markdown", "source": ["# Tides\n", "\n", "When to *sail*.\n"]},
            {
                "cell_type": "code",
                "source": ["def high():\n", "    return 8"],
                "outputs": [
                    {"text": ["at eight\n"]},
                    {"data": {"image/png": "aGk=" * 1000, "text/plain": "<Figure>"}},
                ],
            },
            "damaged",
        ]
        notebook = {"nbformat": 4, "metadata": {"kernel": "python3"}, "cells": cells}
        document = read(json.dumps(notebook).encode(), "a.ipynb")
        assert document.title == "Tides"
        assert document.text == (
            "Tides\n\nWhen to sail.\n\ndef high():\n    return 8\n\nat eight\n\n<Figure>"
        )

    def test_lone_surrogates_in_escapes_are_dropped(self):
        assert read(b'{"a": "x\\ud800y"}', "a.json").text == "a: xy"

    def test_empty(self):
        assert read(b"  \n", "a.json").sections == ()
        assert read(b"{}", "a.json").sections == ()
