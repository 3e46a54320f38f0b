"""Pages behind a login, headless: nothing is drawn, and nothing is read, before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.pages import login
from app.services import Services
from app.serving.accounts import Accounts

pytestmark = pytest.mark.usefixtures("shared_services", "filled_home")

SCRIPT = Path(login.__file__).parent / "main.py"
RULES = Accounts(("ann@example.org",), (), True)


@pytest.fixture(autouse=True)
def _no_login_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, None, {})


def set_up(
    monkeypatch: pytest.MonkeyPatch, rules: Accounts | None, user: dict[str, object]
) -> None:
    monkeypatch.setattr(login, "accounts", lambda: rules)
    monkeypatch.setattr(login, "_user", lambda: user)


def page() -> AppTest:
    test = AppTest.from_file(str(SCRIPT), default_timeout=60)
    test.query_params["q"] = "dripping tap"
    test.run()
    assert not test.exception
    return test


def texts(test: AppTest) -> str:
    drawn = [element.proto.body for element in test.get("html")]
    drawn = [body for body in drawn if not body.lstrip().startswith("<style")]
    return " ".join([*drawn, *(one.value for one in (*test.title, *test.markdown, *test.error))])


def assert_closed(test: AppTest) -> None:
    assert not test.text_input
    assert "gs-hit" not in texts(test)
    assert "Search your documents" not in texts(test)


def test_without_login_settings_nobody_is_asked() -> None:
    test = page()
    assert "Search your documents" in texts(test)
    assert "Log out" not in [one.label for one in test.button]


def test_nobody_sees_a_page_before_logging_in(
    monkeypatch: pytest.MonkeyPatch, shared_services: Callable[[], Services]
) -> None:
    set_up(monkeypatch, RULES, {"is_logged_in": False})
    searched: list[object] = []
    monkeypatch.setattr(Services, "search", lambda *asked: searched.append(asked))
    test = page()
    assert_closed(test)
    assert [one.label for one in test.button] == ["Log in"]
    assert not searched


def test_several_providers_are_offered_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = Accounts(("*",), ("google", "keycloak"), True)
    set_up(monkeypatch, rules, {"is_logged_in": False})
    test = page()
    assert [one.label for one in test.button] == ["Log in with Google", "Log in with Keycloak"]


def test_who_is_not_on_the_list_is_told_and_shown_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, RULES, {"is_logged_in": True, "email": "<b>eve</b>@example.org"})
    test = page()
    assert_closed(test)
    assert "not among those" in test.error[0].value
    assert "<b>" not in test.error[0].value
    assert [one.label for one in test.button] == ["Log out"]


def test_settings_that_only_streamlit_sees_open_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_logged_in in (False, True):
        set_up(monkeypatch, None, {"is_logged_in": is_logged_in, "email": "ann@example.org"})
        test = page()
        assert_closed(test)
        assert "cannot check" in test.error[0].value


def test_who_is_on_the_list_gets_the_page_and_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, RULES, {"is_logged_in": True, "email": "ann@example.org"})
    test = page()
    assert "Search your documents" in texts(test)
    assert any("ann" in one.value for one in test.caption)
    assert "Log out" in [one.label for one in test.button]
