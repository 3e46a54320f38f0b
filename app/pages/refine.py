"""The refinement page: one question, and what each step makes of it."""

from __future__ import annotations

import streamlit as st

from app.pages.chooser import choose_collection
from app.pages.frame import draw_page
from app.rendering import markdown_text, plain, visible_line
from app.searching.refinement import (
    PairStudy,
    QueryStudy,
    RankLine,
    stable_since,
    study_pair,
    study_query,
)
from app.searching.refinement_charts import (
    Picture,
    convergence_picture,
    ranking_picture,
    similarity_picture,
    time_picture,
    words_picture,
)
from app.searching.slider import step_range
from app.services import Services
from indexer.embedder import ModelInfo
from indexer.searching.soft_words import NEAREST, Readability
from indexer.wording import count_text, milliseconds_text, steps_text

__all__ = ["show"]

_PATIENT_MS = 3_000.0
_CHOICES = 10
_NOTHING, _OWN = "nothing", "own"
_EXAMPLES = ("how a water pump works", "electrics die as soon as I bake a pie")


def show() -> None:
    """Draw the page."""
    draw_page(
        "Watch a question refine itself",
        _page,
        invitation="Add files on the Library page: a question is refined by the model of a "
        "collection, and its ranking is shown here.",
    )


def _page(parts: Services, names: list[str]) -> None:
    text = st.text_input(
        "Text to refine",
        key="q",
        type="search",
        placeholder="A question, as you would search by, then press Enter",
        bind="query-params",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        collection = choose_collection(names, parts.settings)
        with parts.collections.use(collection) as opened:
            model, info = opened.config.model, opened.model_info()
        low, high = step_range(info)
        if low == high:
            _say_no_steps(info)
            return
        status = parts.models.status(model)
        if status.state == "failed":
            st.error(markdown_text(status.problem), icon=":material/error:")
            st.button("Load the model again", on_click=parts.models.retry, args=(model,))
            return
        if status.state == "loading" or status.timing is None:
            st.info(f"The model {markdown_text(model)} is loading …", icon=":material/hourglass:")
            _watch_loading(parts, model)
            return
        is_quick = status.timing.milliseconds(high) <= _PATIENT_MS
        steps = st.slider(
            "Steps to watch",
            low + 1,
            high,
            high if is_quick else min(max(info.default_steps, low + 1), high),
            key="watch",
            bind="query-params",
            help="The pictures go up to this step; every step is computed once, in one run.",
        )
    if not text.strip():
        _invite()
        return
    _show_study(parts, collection, text, steps)


def _say_no_steps(info: ModelInfo) -> None:
    st.info(
        f"{markdown_text(info.name)} has no refinement steps: it embeds a text once, at "
        f"{steps_text(info.min_steps)}, and there is nothing to watch. Choose a collection whose "
        "model refines, such as one made with gircse\\-minilm.",
        icon=":material/info:",
    )


def _watch_loading(parts: Services, model: str) -> None:
    def look() -> None:
        if parts.models.status(model).state != "loading":
            st.rerun()

    st.fragment(look, run_every=0.5)()


def _invite() -> None:
    st.markdown(
        "After a text the model writes *soft tokens*: mixtures of words that nobody reads but the "
        "model itself. Each one moves the vector by which passages are found. Here you see what "
        "they are near, how far they move the vector, and what that does to the ranking."
    )
    for example in _EXAMPLES:
        st.button(
            example,
            key=f"refine-{example}",
            icon=":material/auto_awesome:",
            type="tertiary",
            on_click=_put_text,
            args=(example,),
        )


def _put_text(text: str) -> None:
    st.session_state["q"] = text


def _show_study(parts: Services, collection: str, text: str, steps: int) -> None:
    asked = (collection, text.strip(), steps)
    known: tuple[object, QueryStudy] | None = st.session_state.get("refine-study")
    if known is None or known[0] != asked:
        with st.spinner("Refining …"):
            known = (asked, study_query(parts, collection, text, max_steps=steps))
        st.session_state["refine-study"] = known
        st.session_state.pop("refine-pair", None)
    study = known[1]
    _summary(study)
    chosen, pair = _choose_passage(parts, study)
    _show_words(study, pair)
    if pair is not None:
        st.subheader("Query and passage", anchor=False)
        _draw(similarity_picture(study, pair))
    _show_ranking(study, chosen)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Convergence", anchor=False)
        _draw(convergence_picture(study.refinement))
    with right:
        st.subheader("Time per step", anchor=False)
        _draw(time_picture(study.refinement))


def _draw(picture: Picture) -> None:
    chart, text = picture
    # Not ``alt``: every button of the chart's toolbar would be called by the whole sentence.
    st.altair_chart(chart.properties(description=text), width="stretch")


def _summary(study: QueryStudy) -> None:
    refinement = study.refinement
    top = stable_since(study.lines, refinement.steps, 5)
    facts = [
        f"{steps_text(refinement.steps[-1])} in {milliseconds_text(sum(refinement.milliseconds))}",
        f"cosine of the first to the last vector {refinement.to_last()[0]:.3f}",
    ]
    if study.lines:
        facts.append(
            "top 5 still changing at the last step"
            if top is None
            else f"top 5 unchanged since {'reading' if top == 0 else f'step {top}'}"
        )
    st.caption(" · ".join(facts))


def _choose_passage(parts: Services, study: QueryStudy) -> tuple[RankLine | None, PairStudy | None]:
    """Let the user choose what to compare the query with."""
    by_id = {line.chunk_id: line for line in study.lines[:_CHOICES]}

    def name(option: str) -> str:
        if option == _NOTHING:
            return "Nothing"
        if option == _OWN:
            return "A text of my own"
        line = by_id[option]
        return visible_line(f"{line.ranks[-1]}. {line.label}: {line.excerpt[:60]}")

    options = [*by_id, _OWN, _NOTHING]
    option = st.selectbox(
        "Compare with",
        options,
        format_func=name,
        key=f"refine-with-{study.collection}-{study.refinement.text}",
        help="One of the best passages at the last step, or a text that you type.",
    )
    text = ""
    if option == _OWN:
        text = st.text_area("Passage", key="refine-passage", placeholder="Type or paste a passage")
        if not text.strip():
            st.caption("Type a passage to compare the query with.")
            return None, None
    if option == _NOTHING:
        return None, None
    asked = (study.collection, study.refinement.text, study.refinement.steps, option, text)
    known: tuple[object, PairStudy] | None = st.session_state.get("refine-pair")
    if known is None or known[0] != asked:
        chunk = None if option == _OWN else option
        known = (asked, study_pair(parts, study, chunk_id=chunk, text=text))
        st.session_state["refine-pair"] = known
    return by_id.get(option), known[1]


def _show_words(study: QueryStudy, pair: PairStudy | None) -> None:
    st.subheader("What the soft tokens are near", anchor=False)
    texts = {"Query": study.refinement} | ({} if pair is None else {"Passage": pair.passage})
    tabs = st.tabs(list(texts)) if len(texts) > 1 else [st.container()]
    for tab, (name, refinement) in zip(tabs, texts.items(), strict=True):
        with tab:
            measured = refinement.readability
            if measured is None:
                continue
            if measured.is_readable:
                st.caption(_measure_text(measured))
                _draw(words_picture(refinement))
                continue
            st.warning(
                f"The soft tokens of this {name.lower()} carry no readable meaning. "
                f"{_measure_text(measured)} They may still move the vector to a better place: see "
                "the ranking below.",
                icon=":material/visibility_off:",
            )
            with st.expander("Show the words all the same"):
                _draw(words_picture(refinement))


def _measure_text(measured: Readability) -> str:
    return (
        f"Of the {NEAREST} words nearest to each soft token, {measured.said:.1%} occur in the text "
        f"itself; in unrelated sentences it is {measured.chance:.1%}."
    )


def _show_ranking(study: QueryStudy, chosen: RankLine | None) -> None:
    st.subheader("The ranking, step by step", anchor=False)
    if not study.lines:
        st.info("This collection is empty: there is nothing to rank.", icon=":material/info:")
        return
    st.caption(
        f"By meaning alone, among {count_text(study.passages, 'passage')}; documents as stored, at "
        f"{steps_text(study.document_steps)}. Letters mark the best passages at the last step and "
        "those that climbed most; thin lines are the other ones."
    )
    picture, key = ranking_picture(study, chosen)
    _draw(picture)
    items = "".join(f"<li>{plain(line)}</li>" for line in key)
    st.html(f'<ul class="gs-key">{items}</ul>')
