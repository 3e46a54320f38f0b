"""Lexical search: BM25 over the words of the chunks, by SQLite's FTS5.

Queries are plain words: nothing that a user types is taken as query syntax. Every function works
inside a transaction of the caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Literal

from indexer.searching.stemming import stems
from indexer.searching.words import phrase_parts, terms
from indexer.stores.base import Scored
from indexer.stores.reading import chunk_count, json_text

__all__ = [
    "CONTEXT_WEIGHT",
    "Term",
    "asked_terms",
    "chosen_terms",
    "chunks_containing",
    "phrase_expression",
    "score_words",
    "search_words",
    "telling_terms",
]

CONTEXT_WEIGHT = 1.5
"""A word in title or headings counts this many times. nDCG@10 over four labelled sets: 0.574 with
1.0, 0.578 with 1.5, 0.577 with 2.0."""

_MAX_TERMS = 32
"""A longer query keeps the terms that tell most: each costs time on every chunk that matches."""

_MAX_REPEATS = 4
"""A term that a query repeats counts as many times, up to this."""

_MOST_WORDS = 1000
"""Of a longer text only the first words are looked at."""

_COMMON_SHARE = 0.5
_COMMON_FROM = 1000
"""FTS5 gives a term in more than half of the chunks no weight. From so many chunks on such a term
is a stop word of the collection: it is looked for only where there is nothing else."""

_SCORE = f"-bm25(chunk_words, {CONTEXT_WEIGHT}, 1.0, 1.0)"  # FTS5 makes better ones more negative


@dataclass(frozen=True, slots=True)
class Term:
    """What a query asks for, once.

    Args:
        kind: a word, by its stem; a pair of neighbouring characters of text without spaces; or a
            single character of such text, with which a pair begins.
        token: the stem, pair or character.
        phrase: the same as an FTS5 phrase.
        repeats: how many times it counts.
    """

    kind: Literal["word", "pair", "character"]
    token: str
    phrase: str
    repeats: int = 1


def search_words(
    connection: sqlite3.Connection, text: str, *, top_k: int, documents: Sequence[int] | None
) -> list[Scored]:
    """Return the ``top_k`` chunks of highest BM25, best first, equal ones by their ids.

    Args:
        connection: inside a transaction.
        text: the query, in plain words.
        top_k: how many.
        documents: keys of the documents to search; None searches all.
    """
    expression = _expression(connection, text)
    top_k = min(top_k, chunk_count(connection))  # SQLite takes no number above 2**63
    if not expression or top_k < 1:
        return []
    limit = top_k + 16
    while True:
        found = _best(connection, expression, documents, limit)
        # Chunks that tie with the last one may have been cut off: go on until all of them are in.
        if len(found) < limit or found[-1][1] < found[top_k - 1][1]:
            break
        limit *= 4
    ids = _chunk_ids(connection, [key for key, _ in found])
    scored = [Scored(ids[key], score) for key, score in found]
    return sorted(scored, key=lambda hit: (-hit.score, hit.chunk_id))[:top_k]


def score_words(
    connection: sqlite3.Connection, text: str, chunk_ids: Sequence[str]
) -> dict[str, float]:
    """Return the BM25 of a query with each chunk that there is; 0.0 where no word matches."""
    keys = dict(
        connection.execute(
            "SELECT key, id FROM chunks WHERE id IN (SELECT value FROM json_each(?))",
            (json_text(chunk_ids),),
        ).fetchall()
    )
    scores = dict.fromkeys(keys.values(), 0.0)
    expression = _expression(connection, text)
    if expression and keys:
        # The plus keeps SQLite from running the whole match once for every key.
        found = connection.execute(
            f"SELECT rowid, {_SCORE} FROM chunk_words WHERE chunk_words MATCH ? "
            "AND +rowid IN (SELECT value FROM json_each(?))",
            (expression, json_text(list(keys))),
        )
        scores.update((keys[key], score) for key, score in found)
    return scores


def phrase_expression(phrase: str) -> str:
    """Return the FTS5 expression for texts that contain a phrase; empty for one without words.

    Words match by their stems, one after the other in the context or in the text; stop words count.
    """
    stretches = []
    for is_pieces, parts in phrase_parts(phrase):
        quoted = f'"{" ".join(parts)}"'
        if is_pieces:
            # A character that stands alone begins some piece of every text in which it occurs.
            begins = " *" if len(parts) == 1 and len(parts[0]) == 1 else ""
            quoted = f"pieces : {quoted}{begins}"
        stretches.append(quoted)
    return " AND ".join(stretches)


def chunks_containing(
    connection: sqlite3.Connection,
    phrase: str,
    *,
    among: Sequence[str] | None,
    documents: Sequence[int] | None,
) -> set[str]:
    """Return the ids of the chunks that contain a phrase.

    Args:
        connection: inside a transaction.
        phrase: of one word or more.
        among: ids of the chunks to look at; None for all.
        documents: keys of the documents to look at; None for all.
    """
    expression = phrase_expression(phrase)
    if not expression or among == []:
        return set()
    conditions = ["chunk_words MATCH :expression"]
    if among is not None:
        # The pluses keep SQLite from running the whole match once for every key.
        conditions.append(
            "+chunk_words.rowid IN (SELECT key FROM chunks WHERE id IN "
            "(SELECT value FROM json_each(:among)))"
        )
    if documents is not None:
        conditions.append("+c.document IN (SELECT value FROM json_each(:documents))")
    found = connection.execute(
        "SELECT c.id FROM chunk_words CROSS JOIN chunks c ON c.key = chunk_words.rowid "
        f"WHERE {' AND '.join(conditions)}",
        {
            "expression": expression,
            "among": json_text(among),
            "documents": json_text(documents),
        },
    )
    return {chunk_id for (chunk_id,) in found}


def _best(
    connection: sqlite3.Connection, expression: str, documents: Sequence[int] | None, limit: int
) -> list[tuple[int, float]]:
    condition = (
        "AND (SELECT document FROM chunks WHERE key = chunk_words.rowid) "
        "IN (SELECT value FROM json_each(:documents))"
    )
    return connection.execute(
        f"SELECT rowid, {_SCORE} AS score FROM chunk_words WHERE chunk_words MATCH :expression "
        f"{'' if documents is None else condition} ORDER BY score DESC LIMIT :limit",
        {"expression": expression, "documents": json_text(documents), "limit": limit},
    ).fetchall()


def _chunk_ids(connection: sqlite3.Connection, keys: Sequence[int]) -> dict[int, str]:
    return dict(
        connection.execute(
            "SELECT key, id FROM chunks WHERE key IN (SELECT value FROM json_each(?))",
            (json_text(keys),),
        ).fetchall()
    )


def asked_terms(text: str) -> list[Term]:
    """Return the terms of a query, words of one stem as one; whether they occur is not asked."""
    asked = terms(text)
    words = list(asked.words)[:_MOST_WORDS]
    by_stem: dict[str, tuple[str, int]] = {}
    for word, stem in zip(words, stems(words), strict=True):
        first, repeats = by_stem.get(stem, (word, 0))
        by_stem[stem] = first, repeats + asked.words[word]
    pairs = [piece for piece in asked.pieces if len(piece) > 1][:_MOST_WORDS]
    found = [
        Term("word", stem, f'"{word}"', min(repeats, _MAX_REPEATS))
        for stem, (word, repeats) in by_stem.items()
        if stem
    ]
    found += [Term("pair", pair, f'pieces : "{pair}"') for pair in pairs]
    # A character that stands alone begins some piece of every text in which it occurs.
    found += [
        Term("character", piece, f'pieces : "{piece}" *')
        for piece in asked.pieces
        if len(piece) == 1
    ]
    return found


def telling_terms(frequencies: Mapping[Term, int], *, total: int) -> list[Term]:
    """Return the terms to search for.

    Args:
        frequencies: for each term that occurs, in how many chunks.
        total: how many chunks there are.
    """
    telling = dict(frequencies)
    if total >= _COMMON_FROM:
        rare = {term: count for term, count in telling.items() if count <= _COMMON_SHARE * total}
        telling = rare or telling
    # Rarity as in BM25, only for the choice: the search weighs by itself.
    by_rarity = sorted(
        telling, key=lambda term: term.repeats * log((total + 1) / telling[term]), reverse=True
    )
    return by_rarity[:_MAX_TERMS]


def chosen_terms(connection: sqlite3.Connection, text: str) -> list[Term]:
    """Return the terms of a query to search for; none when nothing in the collection can match."""
    asked = asked_terms(text)
    counts = _frequencies(connection, [term.token for term in asked if term.kind != "character"])
    # In how many chunks a single character is, nothing says at once.
    frequencies = {
        term: 1 if term.kind == "character" else counts[term.token]
        for term in asked
        if term.kind == "character" or term.token in counts
    }
    return telling_terms(frequencies, total=chunk_count(connection))


def _expression(connection: sqlite3.Connection, text: str) -> str:
    """Return the FTS5 expression for a query; empty when nothing in the collection can match."""
    return " OR ".join(
        phrase for term in chosen_terms(connection, text) for phrase in [term.phrase] * term.repeats
    )


def _frequencies(connection: sqlite3.Connection, tokens: Sequence[str]) -> dict[str, int]:
    return dict(
        connection.execute(
            "SELECT term, doc FROM chunk_vocabulary WHERE term IN (SELECT value FROM json_each(?))",
            (json_text(tokens),),
        ).fetchall()
    )
