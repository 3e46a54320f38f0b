"""The login in front of all pages, where one is set up."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.rendering import markdown_text
from app.resources import accounts
from app.serving.accounts import Accounts
from app.serving.login_outcome import FAILED

__all__ = ["require_login", "show_user"]


def require_login() -> None:
    """Stop the page at a login form unless somebody who may see it has logged in."""
    rules = accounts()
    user = _user()
    if rules is None and "is_logged_in" not in user:
        return  # no login is set up
    if rules is not None and rules.admits(user):
        return
    st.title("GIRCSE Search", anchor=False)
    if rules is None:
        # Streamlit found login settings where we did not look: never show anything on that ground
        st.error(
            "A login is set up that this app cannot check, so nothing is shown. Whoever runs it "
            "finds in docs/login.md where the settings belong.",
            icon=":material/lock:",
        )
    elif user.get("is_logged_in"):
        _refuse(user)
    else:
        _ask(rules)
    st.stop()


def show_user() -> None:
    """Say who is logged in, with a way out; nothing where no login is set up."""
    user = _user()
    if not user.get("is_logged_in"):
        return
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        st.caption(f"Logged in as {markdown_text(_name(user))}", width="content")
        st.button("Log out", icon=":material/logout:", type="tertiary", on_click=st.logout)


def _ask(rules: Accounts) -> None:
    name, value = FAILED
    if st.query_params.get(name) == value:
        st.error(
            "The login did not work: the provider could not be reached, refused it, or took too "
            "long. Try again; if it fails again, the log of the program that runs the app has the "
            "cause.",
            icon=":material/lock:",
        )
    st.markdown("Log in to search and read the documents that are kept here.")
    for provider in rules.providers or ("",):
        st.button(
            f"Log in with {markdown_text(provider.capitalize())}" if provider else "Log in",
            key=f"login-{provider}",
            icon=":material/login:",
            on_click=st.login,
            args=(provider,) if provider else (),
        )


def _refuse(user: Mapping[str, object]) -> None:
    st.error(
        f"{markdown_text(_name(user))} is not among those who may use this app. Ask whoever runs "
        "it to add this address to allowed_users, or log in with another account.",
        icon=":material/lock:",
    )
    st.button("Log out", icon=":material/logout:", on_click=st.logout)


def _user() -> Mapping[str, object]:
    return st.user.to_dict()


def _name(user: Mapping[str, object]) -> str:
    known = (user.get(claim) for claim in ("email", "preferred_username", "name", "sub"))
    return next((name for name in known if isinstance(name, str) and name), "This account")
