"""Small FTS5 tables in memory: stem, count and find words exactly as the index does.

Knows the tokenizer of ``indexer.storage.schema``; nothing of what is stored.
"""

from __future__ import annotations

import atexit
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from indexer.storage.schema import TOKENIZER

__all__ = ["count_terms", "matching", "stems", "word_spans"]

# Marks that FTS5 sets around what matches: control characters, blanked out of the passages.
_OPEN, _CLOSE = "\x01", "\x02"
_BLANK_MARKS = str.maketrans({_OPEN: " ", _CLOSE: " ", "\x00": " "})


def stems(words: Sequence[str]) -> list[str]:
    """Return each word's stem; empty for one that the tokenizer does not see as a word."""
    found = [""] * len(words)
    with _scratch() as connection:
        _fill(connection, words)
        # Where the tokenizer cuts a word once more its first part stands for it.
        for position, stem in connection.execute(
            "SELECT doc, term FROM stems ORDER BY doc, offset DESC"
        ):
            found[position] = stem
    return found


def count_terms(
    chunks: Sequence[tuple[str, str, str]],
) -> list[dict[str, tuple[int, int, int]]]:
    """Return how many times each term occurs in the context, text and pieces of each chunk."""
    found: list[dict[str, tuple[int, int, int]]] = [{} for _ in chunks]
    with _scratch() as connection:
        connection.executemany(
            "INSERT INTO chunks (rowid, context, text, pieces) VALUES (?, ?, ?, ?)",
            [(position, *columns) for position, columns in enumerate(chunks)],
        )
        for position, term, *counts in connection.execute(
            "SELECT doc, term, sum(col = 'context'), sum(col = 'text'), sum(col = 'pieces') "
            "FROM chunk_terms GROUP BY doc, term"
        ):
            found[position][term] = (counts[0], counts[1], counts[2])
    return found


def matching(chunks: Sequence[tuple[str, str, str]], expression: str) -> list[bool]:
    """Return which chunks (context, text and pieces of each) match an FTS5 expression."""
    found = [False] * len(chunks)
    with _scratch() as connection:
        connection.executemany(
            "INSERT INTO chunks (rowid, context, text, pieces) VALUES (?, ?, ?, ?)",
            [(position, *columns) for position, columns in enumerate(chunks)],
        )
        for (position,) in connection.execute(
            "SELECT rowid FROM chunks WHERE chunks MATCH ?", (expression,)
        ):
            found[position] = True
    return found


def word_spans(passages: Sequence[str], words: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return for each passage the spans [start, end) of words that share a stem with ``words``."""
    found: list[list[tuple[int, int]]] = [[] for _ in passages]
    if not words:
        return found
    expression = " OR ".join(f'"{word}"' for word in words)
    with _scratch() as connection:
        _fill(connection, [passage.translate(_BLANK_MARKS) for passage in passages])
        for position, marked in connection.execute(
            "SELECT rowid, highlight(passages, 0, ?, ?) FROM passages WHERE passages MATCH ?",
            (_OPEN, _CLOSE, expression),
        ):
            found[position] = list(_spans(marked))
    return found


def _spans(marked: str) -> Iterator[tuple[int, int]]:
    position = 0
    for before_close in marked.split(_CLOSE)[:-1]:
        before, word = before_close.split(_OPEN)
        start = position + len(before)
        position = start + len(word)
        yield start, position


def _fill(connection: sqlite3.Connection, texts: Sequence[str]) -> None:
    connection.execute("DELETE FROM passages")
    connection.executemany("INSERT INTO passages (rowid, text) VALUES (?, ?)", enumerate(texts))


@contextmanager
def _scratch() -> Iterator[sqlite3.Connection]:
    connection, lock = _opened()
    with lock:
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")


@cache
def _opened() -> tuple[sqlite3.Connection, threading.Lock]:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    atexit.register(connection.close)
    connection.execute(f'CREATE VIRTUAL TABLE passages USING fts5(text, tokenize = "{TOKENIZER}")')
    connection.execute("CREATE VIRTUAL TABLE stems USING fts5vocab(passages, 'instance')")
    connection.execute(
        f'CREATE VIRTUAL TABLE chunks USING fts5(context, text, pieces, tokenize = "{TOKENIZER}")'
    )
    connection.execute("CREATE VIRTUAL TABLE chunk_terms USING fts5vocab(chunks, 'instance')")
    return connection, threading.Lock()
