"""The pictures of the refinement page, each with a sentence that says the same in words.

Made with Altair, drawn in the browser by what Streamlit ships; colours come from its theme. Nothing
is told by colour alone: lines differ in dashes and carry letters, words of the text are squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, cast

import altair as alt

from app.searching.refinement import (
    DEPTH,
    PairStudy,
    QueryStudy,
    RankLine,
    SoftWord,
    TextRefinement,
)
from indexer.wording import milliseconds_text, steps_text

__all__ = [
    "Picture",
    "convergence_picture",
    "ranking_picture",
    "similarity_picture",
    "time_picture",
    "words_picture",
]

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart
Picture = tuple[AnyChart, str]
"""A chart, and what it shows in words."""

_WORD_ROWS = 18
# White letters are read on each of them, and each is seen on a light and on a dark page.
_DARK = [
    "#0b6e6b", "#b4451f", "#5f53c0", "#a3336b", "#2f6cae", "#7a6500", "#2f7d32", "#8a4b2a",
    "#5a6672",
]  # fmt: skip
_IN_TEXT = {True: "occurs in the text", False: "does not"}
_BELOW = DEPTH + 1
_RANK_TICKS = (1, 2, 3, 5, 10, 20, 30, 40, 50)
_LEGEND = alt.Legend(orient="bottom", title=None, labelLimit=320, columns=1, symbolStrokeWidth=2)


def words_picture(refinement: TextRefinement) -> Picture:
    """Draw what the soft tokens are near: words by steps, larger where they hold more."""
    rows = _word_rows(refinement.words)
    values: list[dict[str, object]] = [
        {
            "step": word.step,
            "word": word.word,
            "share": word.share,
            "kind": _IN_TEXT[word.is_in_text],
        }
        for word in refinement.words
        if word.word in rows
    ]
    largest = max((word.share for word in refinement.words), default=1.0)
    chart = (
        _chart(values)
        .mark_point(filled=True, opacity=0.85)
        .encode(
            x=alt.X("step:O", title="Soft token (step)", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("word:N", title=None, sort=rows, axis=alt.Axis(labelLimit=130, grid=True)),
            size=alt.Size(
                "share:Q",
                scale=alt.Scale(domain=[0, largest], range=[6, 260]),
                legend=None,
            ),
            shape=alt.Shape(
                "kind:N",
                scale=alt.Scale(domain=list(_IN_TEXT.values()), range=["square", "circle"]),
                legend=_LEGEND,
            ),
            color=alt.Color(
                "kind:N", scale=alt.Scale(domain=list(_IN_TEXT.values())), legend=_LEGEND
            ),
            tooltip=[
                alt.Tooltip("word:N", title="Word"),
                alt.Tooltip("step:O", title="Step"),
                alt.Tooltip("share:Q", title="Share of the soft token", format=".1%"),
            ],
        )
        .properties(height=alt.Step(22))
    )
    first = min((word.step for word in refinement.words), default=0)
    leading = [word for word in refinement.words if word.step == first][:3]
    named = ", ".join(f"{word.word} {word.share:.0%}" for word in leading)
    return chart, (
        f"Words that the soft tokens are near, by step. Step {first}: {named}. Larger marks hold a "
        "larger share; squares are words of the text itself."
    )


def convergence_picture(refinement: TextRefinement) -> Picture:
    """Draw how alike the vector is to the one before, and to the last one."""
    previous, last = "to the step before", "to the last step"
    to_previous, to_last = refinement.to_previous(), refinement.to_last()
    values: list[dict[str, object]] = [
        {"step": step, "cosine": value, "of": previous}
        for step, value in zip(refinement.steps[1:], to_previous, strict=True)
    ]
    values += [
        {"step": step, "cosine": value, "of": last}
        for step, value in zip(refinement.steps, to_last, strict=True)
    ]
    chart = _lines(values, [previous, last], y_title="Cosine")
    steps = refinement.steps
    return chart, (
        f"Convergence of the vector: its cosine to that of {steps_text(steps[-1])} goes from "
        f"{to_last[0]:.3f} at {steps_text(steps[0])} to 1; the last step moved it to a cosine of "
        f"{to_previous[-1]:.4f} with the one before."
    )


def similarity_picture(query: QueryStudy, pair: PairStudy) -> Picture:
    """Draw the cosine of query and passage after each step."""
    both = "query and passage refined alike"
    stored = f"passage as stored ({steps_text(query.document_steps)})"
    steps = query.refinement.steps
    series = {both: pair.both} | ({stored: pair.stored} if pair.stored else {})
    values: list[dict[str, object]] = [
        {"step": step, "cosine": value, "of": name}
        for name, line in series.items()
        for step, value in zip(steps, line, strict=True)
    ]
    chart = _lines(values, list(series), y_title="Cosine")
    ends = "; ".join(
        f"{name}: {line[0]:.3f} at {steps_text(steps[0])}, {line[-1]:.3f} at "
        f"{steps_text(steps[-1])}"
        for name, line in series.items()
    )
    return chart, f"Similarity of query and passage by step. {ends}."


def ranking_picture(query: QueryStudy, chosen: RankLine | None) -> tuple[Picture, list[str]]:
    """Draw how passages change places with the steps; return the picture and its key by letter.

    Args:
        query: with the passages.
        chosen: a passage to follow besides the usual ones.
    """
    followed = query.followed()
    if chosen is not None and chosen not in followed:
        followed.append(chosen)
    letters = dict(zip([line.chunk_id for line in followed], ascii_uppercase, strict=False))
    steps = query.refinement.steps
    others = [line for line in query.lines if line.chunk_id not in letters]
    lowest = max(rank or _BELOW for line in query.lines for rank in line.ranks)
    x = alt.X(
        "step:Q",
        title="Refinement steps of the query",
        scale=alt.Scale(domain=[steps[0], steps[-1]], nice=False, padding=14),
        axis=alt.Axis(format="d", tickMinStep=1, grid=False),
    )
    y = alt.Y(
        "rank:Q",
        title="Rank",
        # The first places are the ones that count: they get more room.
        scale=alt.Scale(type="sqrt", domain=[lowest, 1], nice=False, padding=8),
        axis=alt.Axis(values=[rank for rank in _RANK_TICKS if rank <= lowest], grid=True),
    )
    tooltip = [
        alt.Tooltip("label:N", title="Passage"),
        alt.Tooltip("step:Q", title="Steps"),
        alt.Tooltip("place:N", title="Rank"),
    ]
    backdrop = (
        _chart(_rank_values(others, steps, {}))
        .mark_line(opacity=0.35, strokeWidth=1, interpolate="monotone", color="#8a9694")
        .encode(x=x, y=y, detail="chunk:N", tooltip=tooltip)
    )
    values = _rank_values(followed, steps, letters)
    color = alt.Color("letter:N", legend=None, scale=alt.Scale(range=_DARK))
    front = _chart(values).encode(x=x, y=y, color=color, tooltip=tooltip)
    lines = front.mark_line(strokeWidth=2.5, interpolate="monotone").encode(detail="chunk:N")
    at_ends = [one for one in values if one["step"] in (steps[0], steps[-1])]
    ends = _chart(at_ends).encode(x=x, y=y, color=color, tooltip=tooltip)
    discs = ends.mark_point(filled=True, size=230, opacity=1)
    names = ends.mark_text(fontWeight="bold", fontSize=11, color="white").encode(
        text="letter:N", color=alt.value("white")
    )
    height = 520 if lowest > 20 else 120 + 20 * lowest
    chart = alt.layer(backdrop, lines, discs, names).properties(height=height)
    key = [
        f"{letters[line.chunk_id]} — {line.label}: rank {_place(line.ranks[0])} at "
        f"{steps_text(steps[0])}, {_place(line.ranks[-1])} at {steps_text(steps[-1])}"
        for line in followed
    ]
    moved = sum(line.ranks[0] != line.ranks[-1] for line in query.lines)
    alt_text = (
        f"Ranks of the {len(query.lines)} passages that are among the first {DEPTH} after some "
        f"step; {moved} of them end at another rank than they began. {'; '.join(key)}."
    )
    return (chart, alt_text), key


def time_picture(refinement: TextRefinement) -> Picture:
    """Draw what each step took."""
    first = "reading the text" + ("" if refinement.steps[0] == 0 else " and the first step")
    values: list[dict[str, object]] = [
        {"step": step, "ms": ms, "kind": first if place == 0 else "one more step"}
        for place, (step, ms) in enumerate(
            zip(refinement.steps, refinement.milliseconds, strict=True)
        )
    ]
    kinds = [first, "one more step"]
    chart = (
        _chart(values)
        .mark_bar()
        .encode(
            x=alt.X("step:O", title="Step", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("ms:Q", title="Milliseconds"),
            color=alt.Color("kind:N", scale=alt.Scale(domain=kinds), legend=_LEGEND),
            tooltip=[
                alt.Tooltip("step:O", title="Step"),
                alt.Tooltip("ms:Q", title="Milliseconds", format=".1f"),
            ],
        )
        .properties(height=300)
    )
    total = sum(refinement.milliseconds)
    return chart, (
        f"Time of each step: {milliseconds_text(refinement.milliseconds[0])} for {first}, "
        f"{milliseconds_text(total)} up to {steps_text(refinement.steps[-1])}."
    )


def _chart(values: list[dict[str, object]]) -> alt.Chart:
    return alt.Chart(cast(Any, {"values": values}))  # no data frame: it would only be taken apart


def _lines(values: list[dict[str, object]], names: list[str], *, y_title: str) -> AnyChart:
    """Return lines over the steps that differ in colour, dashes and marks."""
    dashes = [[1, 0], [5, 4]][: len(names)]
    shapes = ["circle", "square"][: len(names)]
    base = _chart(values).encode(
        x=alt.X("step:Q", title="Step", axis=alt.Axis(format="d", tickMinStep=1, grid=False)),
        y=alt.Y("cosine:Q", title=y_title, scale=alt.Scale(zero=False)),
        color=alt.Color("of:N", scale=alt.Scale(domain=names), legend=_LEGEND),
        tooltip=[
            alt.Tooltip("of:N", title="Cosine"),
            alt.Tooltip("step:Q", title="Step"),
            alt.Tooltip("cosine:Q", title="Value", format=".4f"),
        ],
    )
    lines = base.mark_line(strokeWidth=2).encode(
        strokeDash=alt.StrokeDash(
            "of:N", scale=alt.Scale(domain=names, range=dashes), legend=_LEGEND
        )
    )
    marks = base.mark_point(filled=True, size=45, opacity=1).encode(
        shape=alt.Shape("of:N", scale=alt.Scale(domain=names, range=shapes), legend=_LEGEND)
    )
    return alt.layer(lines, marks).properties(height=300)


def _word_rows(words: Sequence[SoftWord]) -> list[str]:
    """Return the words to draw, those that hold most over all soft tokens first."""
    held: dict[str, float] = {}
    for word in words:
        held[word.word] = held.get(word.word, 0.0) + word.share
    return sorted(held, key=lambda word: -held[word])[:_WORD_ROWS]


def _rank_values(
    lines: Sequence[RankLine], steps: Sequence[int], letters: dict[str, str]
) -> list[dict[str, object]]:
    return [
        {
            "chunk": line.chunk_id,
            "label": line.label,
            "letter": letters.get(line.chunk_id, ""),
            "step": step,
            "rank": _BELOW if rank is None else rank,
            "place": _place(rank),
        }
        for line in lines
        for step, rank in zip(steps, line.ranks, strict=True)
    ]


def _place(rank: int | None) -> str:
    return f"below {DEPTH}" if rank is None else str(rank)
