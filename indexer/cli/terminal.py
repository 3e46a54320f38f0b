"""Where output goes: results on stdout, everything else on stderr, and no control characters.

Text of documents and file names is a stranger's: it never reaches a terminal with escape sequences
in it, and never passes through markup.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

__all__ = [
    "Terminal",
    "json_text",
    "one_line",
    "printable",
    "write_json",
]

# C0 without tab and newline, DEL, C1, lone surrogates and the bidirectional overrides that can make
# a name look like another one.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_JSON_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        # rich would exit with code 1 here; the command group decides what a closed pipe means.
        raise BrokenPipeError


class Terminal:
    """The two consoles of one run.

    Args:
        quiet: say nothing on stderr but errors.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.out = _Console(highlight=False, markup=False, emoji=False)
        self.err = _Console(highlight=False, markup=False, emoji=False, stderr=True)
        self.quiet = quiet

    @property
    def is_live(self) -> bool:
        """Whether progress may be drawn over itself on stderr: a terminal that can, not quiet."""
        return self.err.is_terminal and not self.err.is_dumb_terminal and not self.quiet

    def note(self, message: str) -> None:
        """Say something on stderr that is not a result."""
        if not self.quiet:
            self.err.print(Text(printable(message), style="dim"), soft_wrap=True)

    def warn(self, message: str) -> None:
        """Warn on stderr."""
        if not self.quiet:
            self._labelled("warning:", "bold yellow", message)

    def error(self, message: str) -> None:
        """Report an error on stderr; --quiet does not silence it."""
        self._labelled("error:", "bold red", message)

    def status(self, message: str) -> AbstractContextManager[object]:
        """Show on a terminal that something is being waited for."""
        if not self.is_live:
            return nullcontext()
        return self.err.status(Text(message))

    def line(self, *parts: str | tuple[str, str] | Text) -> None:
        """Print one line of results, left to the terminal to wrap so that it can be copied."""
        self.out.print(Text.assemble(*parts), soft_wrap=True)

    def columns(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
    ) -> None:
        """Print rows in columns, as wide as their content; long lines are left to the terminal.

        Args:
            header: a label for each column.
            rows: the cells, one line each.
            right: labels of columns that are aligned to the right.
        """
        lines = [[one_line(cell) for cell in row] for row in (header, *rows)]
        widths = [max(cell_len(cell) for cell in column) for column in zip(*lines, strict=True)]
        for number, line in enumerate(lines):
            cells = [
                _aligned(cell, width, to_right=label in right)
                for cell, width, label in zip(line, widths, header, strict=True)
            ]
            self.line(("  ".join(cells).rstrip(), "bold" if number == 0 else ""))

    def _labelled(self, label: str, style: str, message: str) -> None:
        text = Text.assemble((label, style), " ", printable(message))
        self.err.print(text, soft_wrap=True)


def _aligned(cell: str, width: int, *, to_right: bool) -> str:
    blanks = " " * (width - cell_len(cell))  # some characters take two columns
    return blanks + cell if to_right else cell + blanks


def printable(text: str) -> str:
    """Return ``text`` of the same length with every control character made visible as U+FFFD."""
    return _UNSAFE.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return ``text`` for one line: printable, line breaks and tabs written as escapes."""
    return printable(text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t"))


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return JSON that any terminal, encoding and line-based tool can take."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    text = json.dumps(value, ensure_ascii=encoding != "utf8", indent=indent, allow_nan=False)
    return _JSON_UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def write_json(value: object) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json_text(value, indent=2) + "\n")
