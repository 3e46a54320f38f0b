"""Who may use the pages: the login settings, checked before the app starts.

The login itself is Streamlit's, by OpenID Connect; its section ``[auth]`` and ours, ``[gircse]``,
stand in the same ``secrets.toml``. Knows no Streamlit.
"""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.serving.addresses import is_local
from indexer.errors import UsageError
from indexer.settings import user_file

__all__ = ["Accounts", "login_files", "read_accounts"]

_EVERYONE = "*"
_CALLBACK = "/oauth2callback"
_MIN_SECRET_CHARS = 32
_SHARED = ("redirect_uri", "cookie_secret")
_OF_A_PROVIDER = ("client_id", "client_secret", "server_metadata_url")
_GUIDE = "docs/login.md describes all of it"


@dataclass(frozen=True, slots=True)
class Accounts:
    """The rules of a login.

    Args:
        allowed: patterns of the e-mail addresses that are let in; ``*`` stands for everyone whom
            the provider knows.
        providers: names of the providers to choose from; none where there is a single one.
        is_local: only browsers on this machine log in.
    """

    allowed: tuple[str, ...]
    providers: tuple[str, ...]
    is_local: bool

    def admits(self, user: Mapping[str, object]) -> bool:
        """Return whether a user may see the pages.

        Args:
            user: the claims of the provider, with ``is_logged_in``.
        """
        if user.get("is_logged_in") is not True:
            return False
        if _EVERYONE in self.allowed:
            return True
        address = user.get("email")
        # Where a provider says so, the address is one that the user typed and never proved.
        if not isinstance(address, str) or user.get("email_verified") in (False, "false"):
            return False
        return any(fnmatchcase(address.lower(), pattern.lower()) for pattern in self.allowed)


def login_files() -> tuple[Path, ...]:
    """Return where the login settings of ``gircse app`` are looked for, the later ones stronger.

    Only places that are the user's own: a folder that was fetched from elsewhere decides nothing.
    """
    return Path.home() / ".streamlit" / "secrets.toml", user_file().with_name("secrets.toml")


def read_accounts(files: Sequence[Path], *, api_key: str | None) -> Accounts | None:
    """Read and check the login settings.

    Args:
        files: where they may be.
        api_key: what clients of the API have to send.

    Returns:
        The rules; None where no login is set up.

    Raises:
        UsageError: something is missing or cannot be right; says what and what to do.
    """
    sections: dict[str, Any] = {}
    for file in files:
        sections |= _parsed(file)
    auth = sections.get("auth")
    if auth is None:
        return None
    if not isinstance(auth, dict):
        raise UsageError(f"auth in secrets.toml is no section [auth]; {_GUIDE}.")
    providers = _providers(auth)
    redirect = _checked_redirect(auth)
    if len(auth["cookie_secret"]) < _MIN_SECRET_CHARS:
        raise UsageError(
            f"cookie_secret in [auth] is shorter than {_MIN_SECRET_CHARS} characters, so that "
            "logins could be forged. Make one: openssl rand -hex 32"
        )
    _check_surroundings(api_key)
    allowed = _allowed(sections.get("gircse"))
    return Accounts(allowed, providers, is_local(urlsplit(redirect).hostname or ""))


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"the login settings in {file} cannot be read: {error}") from error


def _providers(auth: Mapping[str, Any]) -> tuple[str, ...]:
    named = {name: value for name, value in auth.items() if isinstance(value, dict)}
    named.pop("client_kwargs", None)
    _check_fields(auth, _SHARED, "[auth]")
    for name, section in named.items():
        _check_fields(section, _OF_A_PROVIDER, f"[auth.{name}]")
    if not named:
        _check_fields(auth, _OF_A_PROVIDER, "[auth]")
    return tuple(named)


def _check_fields(section: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    for name in names:
        value = section.get(name)
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{name} is missing in {where} of secrets.toml; {_GUIDE}.")


def _checked_redirect(auth: Mapping[str, Any]) -> str:
    redirect: str = auth["redirect_uri"]
    # a port that Streamlit fills in
    parts = urlsplit(redirect.replace("{port}", "1"))
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_local(parts.hostname or ""))
    if not is_safe or not parts.path.endswith(_CALLBACK):
        raise UsageError(
            f"redirect_uri in [auth] is {redirect!r}. It has to be the address of this app as "
            f"browsers see it, followed by {_CALLBACK}, with https wherever that is not this "
            f"machine: https://search.example.org{_CALLBACK}"
        )
    return redirect


def _allowed(section: object) -> tuple[str, ...]:
    allowed = section.get("allowed_users") if isinstance(section, dict) else None
    patterns = [one for one in allowed if isinstance(one, str)] if isinstance(allowed, list) else []
    if not patterns or patterns != allowed or not all(map(str.strip, patterns)):
        raise UsageError(
            "a login is set up, and not who may log in. Add to secrets.toml: [gircse] "
            'allowed_users = ["ann@example.org", "*@example.com"], or ["*"] for everyone who has '
            "an account with the provider, which with Google is the whole world."
        )
    return tuple(map(str.strip, patterns))


def _check_surroundings(api_key: str | None) -> None:
    for module in ("authlib", "httpx"):
        if importlib.util.find_spec(module) is None:
            raise UsageError(
                f"a login is set up, and the package {module} is missing: "
                "pip install 'gircse-search[oidc]'"
            )
    if api_key is None:
        raise UsageError(
            "a login is set up for the pages, and the REST API would let everyone in without one. "
            'Set its key: export GIRCSE_API_KEY="$(openssl rand -hex 32)" (or api_key in your own '
            "config.toml)."
        )
