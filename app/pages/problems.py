"""Files that cannot be searched, each with its cause, what to do, and a way to try again."""

from __future__ import annotations

import streamlit as st

from app.library.file_states import Problem, problem_count, problem_paths, problems, problems_text
from app.rendering import plain
from app.services import Services

__all__ = ["show_problems"]

_PER_PAGE = 10


def show_problems(parts: Services, name: str) -> None:
    """Draw the list, folded up; nothing where there is no such file."""
    with parts.collections.use(name) as opened:
        states = opened.ledger.totals().states
        count = problem_count(states)
        if not count:
            return
        pages = -(-count // _PER_PAGE)
        with st.expander(
            problems_text(states),
            icon=":material/warning:",
            key="problems",
        ):
            page = st.pagination(pages, key="problems-page") if pages > 1 else 1
            found = problems(opened.ledger, offset=(page - 1) * _PER_PAGE, limit=_PER_PAGE)
            for problem in found:
                _draw(parts, name, problem)
            can_retry = count > 1 and not parts.is_read_only
            if can_retry and st.button(f"Try all {count:,} again", icon=":material/refresh:"):
                parts.retry(name, problem_paths(opened.ledger))
                st.rerun()


def _draw(parts: Services, name: str, problem: Problem) -> None:
    line = problem.line
    st.html(
        f'<p class="gs-problem gs-{line.state}"><strong>{plain(line.name)}</strong> '
        f'<span class="gs-state">{line.label}</span><br>{plain(line.detail)}</p>'
    )
    if parts.is_read_only:
        return
    with st.container(horizontal=True):
        if st.button(
            "Try again",
            key=f"retry-{problem.document_id}",
            icon=":material/refresh:",
            type="tertiary",
        ):
            parts.retry(name, [problem.path])
            st.rerun()
        if st.button(
            "Remove from the list",
            key=f"forget-{problem.document_id}",
            icon=":material/close:",
            type="tertiary",
        ):
            parts.delete_documents(name, [problem.document_id])
            st.rerun()
