"""The search page: a question, how far to refine it, and the passages that answer it."""

from __future__ import annotations

import streamlit as st

from app.hits import hit_html, latency_text
from app.pages.chooser import SAMPLE, choose_collection
from app.pages.controls import FILTER_KEYS, search_controls
from app.pages.judging import judge_hit
from app.pages.reader import show_document
from app.query import Answer, Query, ask, is_outdated, more
from app.rendering import markdown_text
from app.resources import services
from app.services import Services
from indexer.embedder import ModelError
from indexer.errors import IndexerError
from indexer.search import Hit
from indexer.wording import count_text

__all__ = ["show"]

_EXAMPLES = (
    "electrics die as soon as I bake a pie",
    "spilled scorching coffee on my lap",
    "how sailors figured out their whereabouts",
)
# Constant and ours: nothing of a document or a query ever gets into it. It looks for the box until
# it is there, and takes the focus from nothing that the user has chosen.
_FOCUS = """<script>
(function look(tries) {
  const box = document.querySelector('input[type="search"]');
  if (box && document.activeElement === document.body) box.focus();
  if (tries && document.activeElement !== box) setTimeout(look, 100, tries - 1);
})(20)
</script>"""


def show() -> None:
    """Draw the page."""
    parts = services()
    st.title("Search your documents", anchor=False)
    try:
        names = parts.library.names()
        if not names:
            _say_how_to_begin("There is nothing to search yet.")
            return
        _search(parts, names)
        st.html(_FOCUS, unsafe_allow_javascript=True)  # runs when the page is opened, not again
    except (IndexerError, ModelError) as error:
        st.error(markdown_text(str(error)), icon=":material/error:")


def _search(parts: Services, names: list[str]) -> None:
    text = st.text_input(
        "What are you looking for?",
        key="q",
        type="search",
        placeholder="Ask in your own words, then press Enter",
        bind="query-params",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        collection = choose_collection(names, parts.settings)
        query = search_controls(parts, collection, text)
    if text.strip():
        _show_answer(parts, query)
    else:
        _invite(parts, collection)


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


def _show_answer(parts: Services, query: Query) -> None:
    answer = _answered(parts, query)
    if answer.notice:
        st.info(markdown_text(answer.notice), icon=":material/hourglass_top:")
    if not answer.hits:
        _say_nothing_found(parts, answer)
        return
    st.caption(latency_text(answer.result))
    if is_outdated(parts, answer):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("The documents changed since this search.", width="content")
            if st.button("Search again", icon=":material/refresh:"):
                del st.session_state["answer"]
                st.rerun()
    for hit in answer.hits:
        _show_hit(parts, answer, hit)
    if not answer.is_complete and st.button(
        "Show more", icon=":material/expand_more:", width="stretch"
    ):
        st.session_state["answer"] = (query, more(parts, answer))
        st.rerun()


def _answered(parts: Services, query: Query) -> Answer:
    """Return the answer, made anew only when something else is asked than the last time."""
    known: tuple[Query, Answer] | None = st.session_state.get("answer")
    if known is not None and known[0] == query and not known[1].notice:
        return known[1]
    with st.spinner("Searching …"):
        answer = ask(parts, query)
    st.session_state["answer"] = (query, answer)
    return answer


def _show_hit(parts: Services, answer: Answer, hit: Hit) -> None:
    with st.container(border=True, key=f"gs-hit-{hit.chunk.id}"):
        st.html(hit_html(hit, parts.uploads))
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            is_opened = st.button(
                "Show in document",
                key=f"show-{hit.chunk.id}",
                icon=":material/article:",
                type="tertiary",
            )
            judge_hit(parts, answer.query.collection, answer.query.text, hit)
        if is_opened:
            show_document(parts, answer.query.collection, hit.document, hit.chunk, hit.highlights)


def _say_nothing_found(parts: Services, answer: Answer) -> None:
    if not answer.result.total_chunks:
        _say_how_to_begin("This collection is empty.")
        return
    advice = []
    if answer.query.where():
        advice.append("fewer filters")
    if answer.query.mode == "lexical":
        advice.append("other words, or a search by meaning")
    st.info(
        "Nothing found. " + (f"Try {' or '.join(advice)}." if advice else "Try other words."),
        icon=":material/search_off:",
    )
    if answer.query.where():
        st.button("Remove the filters", icon=":material/filter_alt_off:", on_click=_remove_filters)


def _remove_filters() -> None:
    for key, empty in FILTER_KEYS.items():
        st.session_state[key] = empty
