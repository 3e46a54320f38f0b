"""How one hit looks on a terminal. Texts of documents pass through as text, never as markup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from indexer.cli.freshness import FileState
from indexer.cli.terminal import Terminal, one_line, printable
from indexer.searching.excerpt import excerpt

if TYPE_CHECKING:
    from indexer.searching.search import Hit

__all__ = ["print_hit"]

_EXCERPT_CHARS = 360
_READABLE_WIDTH = 110
_INDENT = "    "
_HIGHLIGHT = "bold underline"  # not by colour alone
_STATES: dict[FileState, str] = {"changed": "  (changed since)", "missing": "  (file is gone)"}


def print_hit(terminal: Terminal, hit: Hit, state: FileState, *, full: bool) -> None:
    """Print a hit: title and score, heading path, file, passage, and an empty line.

    Args:
        terminal: where to.
        hit: what was found.
        state: what became of its file since it was indexed.
        full: show the whole passage and the scores of each leg.
    """
    head = Text.assemble((f"{hit.rank:>2}  {one_line(hit.document.title)}", "bold"))
    head.append("  " + " · ".join(_facts(hit, full=full)), style="dim")
    _print_wrapped(terminal, head, indent="")
    if headings := hit.headings:
        _print_wrapped(terminal, Text(one_line(headings), "italic"))
    source = hit.document.source
    terminal.line(  # unbroken, so that it can be copied
        _INDENT, (one_line(source), _link(source)), (_STATES.get(state, ""), "yellow")
    )
    _print_wrapped(terminal, _passage(hit, full=full))
    terminal.line("")


def _facts(hit: Hit, *, full: bool) -> list[str]:
    facts = [f"page {hit.chunk.page}"] if hit.chunk.page is not None else []
    facts.append(f"score {hit.score:.3f}")
    if full and hit.dense_score is not None:
        facts.append(f"dense {hit.dense_score:.3f} (#{hit.dense_rank or '-'})")
    if full and hit.lexical_score is not None:
        facts.append(f"lexical {hit.lexical_score:.2f} (#{hit.lexical_rank or '-'})")
    return facts


def _link(source: str) -> str:
    """Return the style of a path: a link where it is a file and the terminal knows links."""
    path = Path(source)
    # as_uri() quotes what could end the escape sequence of the link
    return f"cyan link {path.as_uri()}" if path.is_absolute() else "cyan"


def _passage(hit: Hit, *, full: bool) -> Text:
    if full:
        text, spans = hit.chunk.text, list(hit.highlights)
    else:
        text, spans = excerpt(hit.chunk.text, hit.highlights, limit=_EXCERPT_CHARS)
    passage = Text(printable(text))  # of the same length, so the spans still fit
    for start, end in spans:
        passage.stylize(_HIGHLIGHT, start, end)
    return passage


def _print_wrapped(terminal: Terminal, text: Text, *, indent: str = _INDENT) -> None:
    width = min(terminal.out.width, _READABLE_WIDTH)
    for line in text.wrap(terminal.out, max(1, width - len(indent)), overflow="fold"):
        line.rstrip()
        terminal.line(indent, line)
