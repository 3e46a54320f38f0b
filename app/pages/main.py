"""The frame around the pages; Streamlit runs this file for every interaction."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.pages import library, quality, refine, search
from app.pages.chooser import PLACE
from app.pages.login import require_login, show_user

FOLDER = Path(__file__).parent
ABOUT = (
    "**GIRCSE Search** finds passages in your own documents by meaning and by words. "
    "Documents, questions and models stay on this machine."
)

st.set_page_config(
    page_title="GIRCSE Search",
    # A file of ours: an icon named ":material/…:" would be fetched from a host on the internet.
    page_icon=str(FOLDER / "icon.svg"),
    layout="centered",
    menu_items={"About": ABOUT},
)
st.html(FOLDER / "style.css")
st.logo(str(FOLDER / "wordmark.svg"), size="medium")
require_login()
pages = {
    "search": st.Page(
        search.show, title="Search", icon=":material/search:", url_path="search", default=True
    ),
    "library": st.Page(
        library.show, title="Library", icon=":material/library_books:", url_path="library"
    ),
    "refine": st.Page(
        refine.show, title="Refine", icon=":material/auto_awesome:", url_path="refine"
    ),
    "quality": st.Page(
        quality.show, title="Quality", icon=":material/monitoring:", url_path="quality"
    ),
}
st.session_state["pages"] = pages
page = st.navigation(list(pages.values()), position="top")
show_user()
st.session_state[PLACE] = page.url_path
page.run()
