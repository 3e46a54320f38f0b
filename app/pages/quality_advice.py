"""What a measurement advises: the knee of the curve, and another weight; each one button away."""

from __future__ import annotations

import streamlit as st

from app.quality.evaluations import Measured, Subject
from app.quality.measuring import make_default
from app.rendering import markdown_text
from app.searching.slider import step_range
from app.services import Services
from indexer.evaluation.curve import Ranking
from indexer.evaluation.tuning import StepOutcome
from indexer.searching.fusion import AUTOMATIC
from indexer.wording import milliseconds_text, steps_text

__all__ = ["advise", "show_news"]

_NEWS = "quality-news"
_TRUSTED_P = 0.05


def show_news() -> None:
    """Say what was just changed."""
    if news := st.session_state.pop(_NEWS, None):
        st.success(news, icon=":material/check:")


def advise(parts: Services, subject: Subject, measured: Measured, ranking: Ranking) -> None:
    """Say what the knee is, and offer to make it the default."""
    curve = measured.curve
    knee, first = curve.knee(ranking), curve.points(ranking)[0]
    with parts.collections.use(subject.collection) as opened:
        current = opened.query_steps()
        low, high = step_range(opened.model_info())
    if low == high:
        st.caption("The collection's model has no refinement steps: there is nothing to choose.")
        return
    figure = knee.figures["ndcg@10"]
    gain = ""
    if figure.change is not None:
        p_value = figure.p_value
        sure = p_value is not None and p_value < _TRUSTED_P
        chance = "" if p_value is None else f", p = {p_value:.3f}"
        gain = (
            f", {100 * figure.change:+.1f} points against {steps_text(first.steps)}"
            f" ({'more than chance' if sure else 'may be chance'}{chance})"
        )
    st.markdown(
        f"**Knee: {steps_text(knee.steps)}.** The fewest whose nDCG@10 comes within 0.1 point of "
        f"the best: {figure.mean:.3f}{gain}, in {milliseconds_text(knee.latency_ms)} per search. "
        f"The collection is searched with {steps_text(current)} now."
    )
    if (
        not parts.is_read_only
        and knee.steps != current
        and st.button(
            f"Make {steps_text(knee.steps)} the default of “{markdown_text(subject.collection)}”",
            icon=":material/check_circle:",
            type="primary",
        )
    ):
        make_default(parts, subject.collection, measured, steps=knee.steps)
        _say(
            f"“{markdown_text(subject.collection)}” is searched with {steps_text(knee.steps)} from "
            "now on, where nothing else is chosen."
        )
    if ranking == "hybrid" and knee.steps in measured.outcomes:
        _advise_weight(parts, subject.collection, measured, measured.outcomes[knee.steps])


def _advise_weight(
    parts: Services, collection: str, measured: Measured, outcome: StepOutcome
) -> None:
    """Offer another weight of meaning against words where it gains on queries not seen."""
    with parts.collections.use(collection) as opened:
        current = opened.search_defaults().dense_weight
    if current != measured.dense_weight:
        st.info(
            "The weight of meaning against words was changed since: measure again to see what it "
            "gives.",
            icon=":material/info:",
        )
        return
    advised = outcome.advised_weight
    if advised == (AUTOMATIC if current is None else current):
        return
    now = "chosen for each query by itself" if current in (None, AUTOMATIC) else f"{current:g}"
    text = "chosen for each query by itself" if advised == AUTOMATIC else f"{advised:g} of 1"
    gain = 100 * (outcome.expected - outcome.automatic)
    chance = "" if outcome.p_value is None else f" (p = {outcome.p_value:.3f})"
    st.markdown(
        f"**Weight of meaning against words: {text}.** On queries that did not choose it, "
        f"{gain:+.1f} points of nDCG@10 against choosing it for each query{chance}. It is "
        f"{now} now."
    )
    if not parts.is_read_only and st.button(
        f"Use this weight in “{markdown_text(collection)}”", icon=":material/balance:"
    ):
        make_default(parts, collection, measured, dense_weight=advised)
        _say(f"“{markdown_text(collection)}” weighs meaning by {text} from now on.")


def _say(news: str) -> None:
    st.session_state[_NEWS] = news
    st.rerun()
