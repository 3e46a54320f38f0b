"""Nothing of a stranger's text can steer the terminal, and JSON stays JSON."""

from __future__ import annotations

import io
import json
import sys

import pytest

from indexer.cli.terminal import (
    Terminal,
    json_text,
    one_line,
    printable,
)

HOSTILE = "a\x1b[31mred\x1b]8;;http://x\x07link\x9b2J\x00\u202eevil\ud800 [bold]markup[/bold]"


def test_printable_keeps_the_length_and_drops_every_control():
    shown = printable(HOSTILE + "\n\tkept")

    assert len(shown) == len(HOSTILE) + 6
    assert not any(ord(char) < 32 and char not in "\n\t" for char in shown)
    assert not any(0x7F <= ord(char) <= 0x9F for char in shown)
    assert "\u202e" not in shown
    shown.encode("utf-8")


def test_one_line_is_one_line():
    assert one_line("a\nb\rc\td") == "a\\nb\\rc\\td"
    assert len(one_line("x\u2028y\x85z").splitlines()) == 1


def test_text_on_the_consoles_is_neither_markup_nor_control(capsys):
    terminal = Terminal()

    terminal.line(one_line(HOSTILE))
    terminal.error(HOSTILE)
    terminal.note(HOSTILE)
    captured = capsys.readouterr()

    for text in (captured.out, captured.err):
        assert "[bold]markup[/bold]" in text
        assert "\x1b" not in text
        assert "\x9b" not in text


def test_quiet_silences_notes_and_warnings_and_keeps_errors(capsys):
    terminal = Terminal(quiet=True)

    terminal.note("note")
    terminal.warn("warning")
    terminal.error("broken")

    assert capsys.readouterr().err == "error: broken\n"


def test_json_survives_any_text():
    text = json_text({"text": HOSTILE})

    assert json.loads(text) == {"text": HOSTILE}
    text.encode("utf-8")
    assert not any(0x7F <= ord(char) <= 0x9F or ord(char) < 32 for char in text)


def test_json_is_ascii_where_the_terminal_is(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))

    assert json_text({"name": "é界"}) == '{"name": "\\u00e9\\u754c"}'


def test_json_refuses_what_is_not_json():
    with pytest.raises(ValueError, match="JSON"):
        json_text({"score": float("nan")})


def test_columns_line_up_whatever_the_script(capsys):
    Terminal().columns(("name", "n", "path"), [("界", "1", "/a b"), ("x\ty", "100", "")], right="n")

    assert capsys.readouterr().out.splitlines() == [
        "name    n  path",
        "界      1  /a b",
        "x\\ty  100",
    ]
