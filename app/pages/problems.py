"""Files that cannot be searched, each with its cause, what to do, and a way to try again."""

from __future__ import annotations

import streamlit as st

from app.file_states import Problem, problem_count, problems
from app.rendering import plain
from app.services import Services
from indexer.wording import count_text

__all__ = ["show_problems"]

_PER_PAGE = 10


def show_problems(parts: Services, name: str) -> None:
    """Draw the list, folded up; nothing where there is no such file."""
    with parts.collections.use(name) as opened:
        count = problem_count(opened.ledger.totals().states)
        if not count:
            return
        pages = -(-count // _PER_PAGE)
        with st.expander(
            f"{count_text(count, 'file')} could not be searched",
            icon=":material/warning:",
            key="problems",
        ):
            page = st.pagination(pages, key="problems-page") if pages > 1 else 1
            found = problems(opened.ledger, offset=(page - 1) * _PER_PAGE, limit=_PER_PAGE)
            for problem in found:
                _draw(parts, name, problem)
            can_retry = len(found) > 1 and not parts.is_read_only
            if can_retry and st.button("Try these again", icon=":material/refresh:"):
                parts.retry(name, [problem.path for problem in found])
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
