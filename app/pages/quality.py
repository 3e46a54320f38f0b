"""The quality page: how good a collection's searches are, and which number of steps is worth it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.pages.chooser import choose_collection
from app.pages.frame import draw_page
from app.pages.judged_sets import add_judged_set, remove_judged_set
from app.pages.judgements import show_judgements
from app.pages.quality_advice import advise, show_news
from app.quality.charts import (
    METRIC_NAMES,
    RANKING_NAMES,
    Against,
    curve_picture,
    figure_text,
)
from app.quality.evaluations import EvaluationStatus, Measured, Subject
from app.quality.measuring import is_current
from app.rendering import markdown_text
from app.services import Services
from indexer.evaluation.curve import QualityCurve, Ranking
from indexer.evaluation.judged_sets import JudgedSet
from indexer.evaluation.metrics import Metric
from indexer.wording import time_text

__all__ = ["show"]

_OWN = ""


def show() -> None:
    """Draw the page."""
    draw_page(
        "Quality",
        _page,
        invitation="Add files on the Library page, search, and judge what is found.",
    )


def _page(parts: Services, names: list[str]) -> None:
    st.markdown(
        "Is refinement worth its milliseconds on *your* documents? Judge hits with thumbs on the "
        "search page, or bring a judged set, and measure."
    )
    sets = {one.name: one for one in parts.sets.all()}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        collection = choose_collection(names, parts.settings)
        subject = _choose_subject(parts, collection, sets)
    show_news()
    if subject.judged_by == _OWN:
        is_ready = show_judgements(parts, collection)
    else:
        is_ready = True
        _describe(parts, sets[subject.judged_by])
    if not parts.is_read_only:
        add_judged_set(parts)
    _show_evaluation(parts, subject, is_ready=is_ready)


def _choose_subject(parts: Services, collection: str, sets: dict[str, JudgedSet]) -> Subject:
    def name(option: str) -> str:
        return "Thumbs of this collection" if option == _OWN else f"Set: {option}"

    if added := st.session_state.pop("judged-set-next", None):
        st.session_state["judged-by"] = added
    if st.session_state.get("judged-by", _OWN) not in (_OWN, *sets):
        del st.session_state["judged-by"]  # the set was removed
    chosen = st.selectbox("Judged by", [_OWN, *sets], format_func=name, key="judged-by", width=280)
    with parts.collections.use(collection) as opened:
        identity = opened.id
    if chosen == _OWN or chosen not in sets:
        return Subject(collection, identity)
    splits = sets[chosen].splits
    split = splits[0]
    if len(splits) > 1:
        split = st.selectbox("Judgements", splits, key=f"split-{chosen}", width=160)
    return Subject(collection, identity, chosen, split)


def _describe(parts: Services, chosen: JudgedSet) -> None:
    whose = (
        "It brings its own documents, which the collection's model embeds for the measurement: "
        "that takes as long as indexing them."
        if chosen.has_documents
        else "It judges documents of the collection."
    )
    st.caption(f"{markdown_text(str(chosen.folder))}. {whose}")
    if not parts.is_read_only:
        remove_judged_set(parts, chosen)


def _show_evaluation(parts: Services, subject: Subject, *, is_ready: bool) -> None:
    status = parts.evaluations.status(subject)
    if status.is_busy:
        _watch(parts, subject)
    else:
        if status.state == "failed":
            st.error(markdown_text(status.problem), icon=":material/error:")
        label = "Measure" if status.measured is None else "Measure again"
        if not parts.is_read_only and st.button(
            label,
            icon=":material/monitoring:",
            type="primary" if status.measured is None else "secondary",
            disabled=not is_ready,
            help=None if is_ready else "Judge at least one hit as an answer first.",
        ):
            parts.measure(subject)
            st.rerun()
    if status.measured is None:
        if not status.is_busy and is_ready and not parts.is_read_only:
            st.caption(
                "Every judged query is searched at 0 to 20 steps, in the background; you may go on "
                "searching meanwhile."
            )
        return
    if not is_current(parts, subject.collection, status.measured):
        st.info(
            "The collection was rebuilt since it was measured last. Measure it again.",
            icon=":material/info:",
        )
        return
    _show_measured(parts, subject, status.measured)


def _watch(parts: Services, subject: Subject) -> None:
    """Draw the progress; a fragment, so that the page's other parts keep still."""

    def draw() -> None:
        status = parts.evaluations.status(subject)
        if not status.is_busy:
            st.rerun()
        _draw_progress(parts, subject, status)

    st.fragment(draw, run_every=0.5)()


def _draw_progress(parts: Services, subject: Subject, status: EvaluationStatus) -> None:
    progress = status.progress
    if status.state == "waiting":
        text, share = "Waiting for another evaluation to end", 0.0
    elif progress is None:
        text, share = "Starting", 0.0
    else:
        count = f": {progress.done:,} of {progress.total:,}" if progress.total else " …"
        text = f"{progress.phase}{count}"
        share = progress.done / progress.total if progress.total else 0.0
    if status.state == "stopping":
        text = "Stopping after the texts at hand"
    st.progress(min(share, 1.0), text=markdown_text(text))
    if status.state != "stopping" and st.button("Cancel", icon=":material/stop_circle:"):
        parts.evaluations.cancel(subject)
        st.rerun(scope="fragment")


def _show_measured(parts: Services, subject: Subject, measured: Measured) -> None:
    curve = measured.curve
    for note in measured.notes:
        st.info(markdown_text(note), icon=":material/info:")
    with st.container(horizontal=True, gap="medium"):
        metric = _choose_metric()
        ranking = _choose_ranking()
    st.caption(
        f"{curve.queries:,} judged {'query' if curve.queries == 1 else 'queries'}, measured "
        f"{time_text(measured.at)}. Bars: 95 % bootstrap intervals over the queries. Words alone "
        f"reach {curve.words[metric].mean:.3f}."
    )
    left, right = st.columns(2, gap="medium")
    sides: dict[Against, DeltaGenerator] = {"steps": left, "milliseconds": right}
    for against, side in sides.items():
        chart, text = curve_picture(curve, metric, ranking, against)
        side.altair_chart(chart.properties(description=text), width="stretch")
    advise(parts, subject, measured, ranking)
    with st.expander("The figures as a table"):
        _table(curve, ranking)


def _choose_metric() -> Metric:
    by_name = {name: metric for metric, name in METRIC_NAMES.items()}
    name = st.pills(
        "Measure of quality",
        list(by_name),
        default="nDCG@10",
        required=True,
        key="metric",
        help="nDCG@10: are the best answers near the top? Recall: are the answers found at all? "
        "MRR@10: how far down is the first answer?",
    )
    return by_name[name or "nDCG@10"]


def _choose_ranking() -> Ranking:
    by_name = {name.capitalize(): ranking for ranking, name in RANKING_NAMES.items()}
    name = st.pills(
        "Search by", list(by_name), default=next(iter(by_name)), required=True, key="ranking"
    )
    return by_name[name] if name else "hybrid"


def _table(curve: QualityCurve, ranking: Ranking) -> None:
    st.dataframe(
        [
            {"Steps": point.steps, "Milliseconds": round(point.latency_ms, 1)}
            | {name: figure_text(point, metric) for metric, name in METRIC_NAMES.items()}
            for point in curve.points(ranking)
        ],
        hide_index=True,
        width="stretch",
        alt=f"Quality by refinement steps, by {RANKING_NAMES[ranking]}",
    )
