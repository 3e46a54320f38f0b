"""The app for ``streamlit run streamlit_app.py``; ``gircse app`` serves the same, API included."""

from __future__ import annotations

import streamlit as st

from app.server import MIDDLEWARE, ROUTES, SCRIPT, check_options, lifespan, report_error

check_options()
app = st.App(
    SCRIPT, routes=ROUTES, middleware=MIDDLEWARE, lifespan=lifespan, on_script_error=report_error
)
