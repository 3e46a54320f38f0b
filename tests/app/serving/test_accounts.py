from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from app.serving.accounts import Accounts, login_files, read_accounts
from indexer.errors import UsageError

SECRET = "0123456789abcdef0123456789abcdef"
GOOD = f"""\
[auth]
redirect_uri = "https://search.example.org/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "gircse"
client_secret = "hush"
server_metadata_url = "https://id.example.org/.well-known/openid-configuration"

[gircse]
allowed_users = ["ann@example.org", "*@staff.example.com"]
"""
NAMED = f"""\
[auth]
redirect_uri = "http://localhost:{{port}}/oauth2callback"
cookie_secret = "{SECRET}"
[auth.google]
client_id = "a"
client_secret = "b"
server_metadata_url = "https://accounts.google.com/.well-known/openid-configuration"
[auth.keycloak]
client_id = "a"
client_secret = "b"
server_metadata_url = "https://id.example.org/.well-known/openid-configuration"
[gircse]
allowed_users = ["*"]
"""


def read(tmp_path: Path, text: str, *, api_key: str | None = "k" * 16) -> Accounts | None:
    file = tmp_path / "secrets.toml"
    file.write_text(text)
    return read_accounts([tmp_path / "none.toml", file], api_key=api_key)


def test_without_settings_there_is_no_login(tmp_path: Path) -> None:
    assert read_accounts([tmp_path / "secrets.toml"], api_key=None) is None
    assert read(tmp_path, '[other]\nkey = "value"\n', api_key=None) is None


def test_good_settings_are_understood(tmp_path: Path) -> None:
    rules = read(tmp_path, GOOD)
    assert rules == Accounts(("ann@example.org", "*@staff.example.com"), (), False)
    assert read(tmp_path, NAMED) == Accounts(("*",), ("google", "keycloak"), True)


def test_later_files_are_stronger(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(GOOD)
    second.write_text('[gircse]\nallowed_users = ["bob@example.org"]\n')
    rules = read_accounts([first, second], api_key="k" * 16)
    assert rules is not None
    assert rules.allowed == ("bob@example.org",)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[auth]", "auth = 5\n[x]", "no section"),
        ('client_id = "gircse"', "", "client_id is missing"),
        ('client_secret = "hush"', 'client_secret = ""', "client_secret is missing"),
        (SECRET, "short", "shorter than 32"),
        ("https://search", "http://search", "https wherever"),
        ("/oauth2callback", "/", "/oauth2callback"),
        ("allowed_users", "users", "not who may log in"),
        ('["ann@example.org", "*@staff.example.com"]', "[]", "not who may log in"),
        ('["ann@example.org", "*@staff.example.com"]', '"*"', "not who may log in"),
        ('["ann@example.org", "*@staff.example.com"]', '["a", 5]', "not who may log in"),
        ("[gircse]", "[gircse", "cannot be read"),
    ],
)
def test_what_cannot_be_right_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)


def test_the_api_needs_a_key_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GIRCSE_API_KEY"):
        read(tmp_path, GOOD, api_key=None)


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"gircse-search\[oidc\]"):
        read(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("user", "is_admitted"),
    [
        ({"is_logged_in": True, "email": "ann@example.org"}, True),
        ({"is_logged_in": True, "email": "Ann@Example.org", "email_verified": True}, True),
        ({"is_logged_in": True, "email": "x@staff.example.com"}, True),
        ({"is_logged_in": True, "email": "x@staff.example.com.evil.example"}, False),
        ({"is_logged_in": True, "email": "ann@example.org", "email_verified": False}, False),
        ({"is_logged_in": True, "email": "eve@example.org"}, False),
        ({"is_logged_in": True}, False),
        ({"is_logged_in": True, "email": ["ann@example.org"]}, False),
        ({"is_logged_in": False, "email": "ann@example.org"}, False),
        ({"is_logged_in": "yes", "email": "ann@example.org"}, False),
        ({}, False),
    ],
)
def test_who_is_let_in(tmp_path: Path, user: dict[str, object], is_admitted: bool) -> None:
    rules = read(tmp_path, GOOD)
    assert rules is not None
    assert rules.admits(user) is is_admitted


def test_everyone_means_everyone_who_has_logged_in() -> None:
    rules = Accounts(("*",), (), True)
    assert rules.admits({"is_logged_in": True, "sub": "1"})
    assert not rules.admits({"is_logged_in": False})


def test_no_file_of_the_working_folder_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not any(file.is_relative_to(tmp_path) for file in login_files())
