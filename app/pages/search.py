"""The search page: a question, how far to refine it, what answers it, and where that stands."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import streamlit as st

from app.pages import feedback
from app.pages.chooser import SAMPLE, choose_collection
from app.pages.controls import remove_filters, search_controls
from app.pages.judging import judge_hit
from app.pages.reader import draw_reader
from app.pages.results import OPEN_KEY, Rail, export_menu, opened_hit
from app.rendering import markdown_text, plain
from app.resources import services
from app.searching.query import Answer, Query, is_outdated, more, refine
from app.services import Services
from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.searching.search import Grouping
from indexer.wording import count_text

__all__ = ["show"]

_EXAMPLES = (
    "electrics die as soon as I bake a pie",
    "spilled scorching coffee on my lap",
    "how sailors figured out their whereabouts",
)
_GROUPINGS: dict[str, Grouping] = {"Passages": "passage", "Documents": "document"}
# Constant and ours: nothing of a document or a query ever gets into it. It looks for the box until
# it is there, and gives up for good once the user has chosen anything else: when that goes, the
# page must not jump to its top.
_FOCUS = """<script>
(function look(tries) {
  if (document.activeElement !== document.body) return;
  const box = document.querySelector('input[type="search"]');
  if (box) box.focus({preventScroll: true});
  if (tries && document.activeElement !== box) setTimeout(look, 100, tries - 1);
})(20)
</script>"""

# Constant and ours, but for a key of ours that has it run again for another passage. On a narrow
# screen the reader covers the results: the focus goes with it, and Escape leads back.
_SHEET = """<script data-for="{key}">
(function look(tries) {{
  const back = document.querySelector('.st-key-close-reader button');
  if (!back) return tries && setTimeout(look, 100, tries - 1);
  if (back.checkVisibility()) back.focus();
  const pane = back.closest('[class*="st-key-gs-reader-chosen"]');
  if (pane) pane.onkeydown = press => {{
    if (press.key === 'Escape' && back.checkVisibility()) back.click();
  }};
}})(20)
</script>"""


def show() -> None:
    """Draw the page."""
    parts = services()
    st.html(Path(__file__).parent / "search.css")
    st.html('<h1 class="gs-sr">Search your documents</h1>')
    with st.container(key="gs-search"):
        try:
            names = parts.library.names()
            if not names:
                _say_how_to_begin("There is nothing to search yet.")
                return
            _search(parts, names)
            st.html(_FOCUS, unsafe_allow_javascript=True)  # when the page is opened, not again
        except (IndexerError, ModelError) as error:
            st.error(markdown_text(str(error)), icon=":material/error:")


def _search(parts: Services, names: list[str]) -> None:
    text = st.text_input(
        "What are you looking for?",
        key="q",
        type="search",
        placeholder="Ask in your own words, then press Enter",
        bind="query-params",
        on_change=_forget_feedback,
    )
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="medium", key="gs-controls"
    ):
        collection = choose_collection(names, parts.settings, on_change=_forget_feedback)
        query = search_controls(parts, collection, text)
    given = feedback.current()
    if text.strip() or given.similar:
        _show_answer(parts, feedback.with_feedback(query, given), given)
    else:
        _invite(parts, collection)


def _forget_feedback() -> None:
    # It was about the answers to another question.
    feedback.clear()
    st.session_state.pop(OPEN_KEY, None)


def _say_how_to_begin(finding: str) -> None:
    st.info(
        f"{finding} Add files or a folder on the Library page; each can be searched as soon as it "
        "is read, while others are still at work.",
        icon=":material/info:",
    )
    st.page_link(st.session_state["pages"]["library"], label="Add documents")


def _invite(parts: Services, collection: str) -> None:
    """Say what can be searched, before anything is asked."""
    with parts.collections.use(collection) as opened:
        totals = opened.ledger.totals()
    if not totals.documents:
        _say_how_to_begin("This collection is empty.")
        return
    size = f"{count_text(totals.documents, 'document')}, {count_text(totals.chunks, 'passage')}"
    if collection != SAMPLE:
        st.caption(f"{size} can be searched.")
        return
    st.markdown(
        f"The sample collection is ready: {size} about home, kitchen, garden, health, money, work "
        "and travel. Try one of these, which share hardly a word with their answers:"
    )
    with st.container(gap=None):
        for example in _EXAMPLES:
            st.button(
                example,
                key=f"example-{example}",
                icon=":material/search:",
                type="tertiary",
                on_click=_put_question,
                args=(example,),
            )


def _put_question(text: str) -> None:
    st.session_state["q"] = text


def _show_answer(parts: Services, query: Query, given: feedback.Feedback) -> None:
    rail, side = st.columns([5, 7], gap="medium")
    with rail:
        if given:
            feedback.show(parts, query.collection, given)
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            query = replace(query, grouping=_grouping())
            export = st.empty()
        hits = Rail(parts)
        answer = _answered(parts, query, hits)
        if answer is None or not answer.hits:
            return
        for place, hit in enumerate(answer.hits):
            with hits.tools(place):
                judge_hit(parts, answer.query.collection, answer.query.text, hit)
        with export.container(width="content"):
            export_menu(answer)
        if is_outdated(parts, answer):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption("The documents changed since this search.", width="content")
                if st.button("Search again", icon=":material/refresh:"):
                    del st.session_state["answer"]
                    st.rerun()
        if not answer.is_complete and st.button(
            "Show more", icon=":material/expand_more:", width="stretch"
        ):
            st.session_state["answer"] = (query, more(parts, answer))
            st.rerun()
    with side:
        _show_reader(parts, answer)


def _grouping() -> Grouping:
    label = st.segmented_control(
        "Results by",
        list(_GROUPINGS),
        default="Passages",
        required=True,
        key="group",
        bind="query-params",
        label_visibility="collapsed",
    )
    return _GROUPINGS[label or "Passages"]


def _answered(parts: Services, query: Query, rail: Rail) -> Answer | None:
    """Draw the answer into the rail, searching only if something else is asked than before.

    Whatever the user does meanwhile ends the search: the script then stops at what it draws next.
    """
    known: tuple[Query, Answer] | None = st.session_state.get("answer")
    answer: Answer | None = None
    if known is not None and known[0] == query and known[1].is_final and not known[1].notice:
        answer = known[1]
        _draw(parts, answer, rail)
        return answer
    rail.say_searching()
    try:
        with closing(refine(parts, query)) as answers:
            for answer in answers:
                st.session_state["answer"] = (query, answer)
                _draw(parts, answer, rail)
    except (IndexerError, ModelError):
        rail.clear()  # nothing is on its way any more
        raise
    return answer


def _draw(parts: Services, answer: Answer, rail: Rail) -> None:
    if answer.hits:
        rail.draw(answer)
    elif answer.is_final:
        rail.clear()
        _say_nothing_found(parts, answer)
    if answer.notice and answer.is_final:
        st.info(markdown_text(answer.notice), icon=":material/hourglass_top:")


def _show_reader(parts: Services, answer: Answer) -> None:
    """Draw the document beside the hits; on a narrow screen over them, once one was chosen."""
    hit = opened_hit(answer)
    if hit is None:
        return
    is_chosen = st.session_state.get(OPEN_KEY) == hit.chunk.id
    place = "gs-reader-chosen" if is_chosen else "gs-reader-first"
    with st.container(key=place):
        with st.container(horizontal=True, vertical_alignment="top", key="gs-reader-head"):
            st.html(f'<h2 class="gs-reader-title">{plain(hit.document.title)}</h2>')
            st.button(
                "Back to the results",
                key="close-reader",
                icon=":material/close:",
                type="tertiary",
                on_click=st.session_state.pop,
                args=(OPEN_KEY, None),
            )
        draw_reader(
            parts, answer.query.collection, hit.document, hit.chunk, hit.highlights, place=place
        )
        if is_chosen:
            st.html(_SHEET.format(key=hit.chunk.id), unsafe_allow_javascript=True)


def _say_nothing_found(parts: Services, answer: Answer) -> None:
    if not answer.result.total_chunks:
        _say_how_to_begin("This collection is empty.")
        return
    words = answer.result.request.words
    advice = []
    if answer.query.where():
        advice.append("fewer filters")
    if words.phrases:
        advice.append("the words without quotes, as no passage has them one after the other")
    if words.excluded:
        advice.append("fewer words to leave out")
    if answer.query.mode == "lexical" and not words.phrases:
        advice.append("other words, or a search by meaning")
    st.info(
        "Nothing found. " + (f"Try {', or '.join(advice)}." if advice else "Try other words."),
        icon=":material/search_off:",
    )
    if answer.query.where():
        st.button(
            "Remove the filters",
            key="no-filters",
            icon=":material/filter_alt_off:",
            on_click=remove_filters,
        )
