"""The app's pages, run headless by Streamlit's own test driver."""

from __future__ import annotations

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

from app import resources

SCRIPT = Path(resources.__file__).parent / "pages" / "main.py"
REFINE, QUALITY, SEARCH = "refine", "quality", "search"


def page(name: str, **query: str) -> AppTest:
    """Open a page with an address."""
    test = AppTest.from_function(_run, default_timeout=60, args=(str(SCRIPT.parent), name))
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def _run(folder: str, name: str) -> None:
    """Draw one page as ``main.py`` does, which a headless run cannot be sent to by its address."""
    import importlib

    import streamlit as st

    shown = importlib.import_module(f"app.pages.{name}")
    st.session_state["pages"] = {
        other: st.Page(lambda: None, title=other, url_path=other)
        for other in ("search", "library", "refine", "quality")
        if other != name
    } | {name: st.Page(shown.show, title=name, url_path=name, default=True)}
    st.navigation(list(st.session_state["pages"].values()), position="top").run()


def html(test: AppTest) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def charts(test: AppTest) -> list[str]:
    """Return what every chart that is shown says in words."""
    return [
        json.loads(element.proto.spec)["description"] for element in test.get("vega_lite_chart")
    ]
