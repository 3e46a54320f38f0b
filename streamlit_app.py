"""The app for ``streamlit run streamlit_app.py``; ``gircse app`` serves the same one."""

from __future__ import annotations

import streamlit as st

from app.server import SCRIPT, lifespan, report_error

app = st.App(SCRIPT, lifespan=lifespan, on_script_error=report_error)
