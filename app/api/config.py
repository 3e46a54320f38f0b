"""Who may ask, and how much: the rules of the running server."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.serving.addresses import is_local
from indexer.errors import UsageError

__all__ = ["ApiConfig", "allowed_hosts", "check_reach"]

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The rules of the API.

    Args:
        hosts: names by which requests may address the server, in lower case, ``*.example.org``
            standing for all names below; none stands for every name.
        api_key: what clients have to send; None asks for none.
        upload_bytes: largest body with files.
        json_bytes: largest other body.

    Raises:
        UsageError: a limit is below 1.
    """

    hosts: tuple[str, ...] = _LOOPBACK_NAMES
    api_key: str | None = None
    upload_bytes: int = 200 * _MIB
    json_bytes: int = 8 * _MIB

    def __post_init__(self) -> None:
        if min(self.upload_bytes, self.json_bytes) < 1:
            raise UsageError(
                f"upload_bytes is {self.upload_bytes} and json_bytes is {self.json_bytes}; both "
                "must be at least 1"
            )

    def allows_host(self, header: str | None) -> bool:
        """Return whether a request may address the server as its Host header does."""
        if not self.hosts:
            return True
        name = _host_name(header or "")
        return name is not None and any(_matches(name, host) for host in self.hosts)

    def allows_key(self, authorization: str | None) -> bool:
        """Return whether an Authorization header has the key; compares in constant time."""
        if self.api_key is None:
            return True
        scheme, _, sent = (authorization or "").partition(" ")
        is_same = hmac.compare_digest(sent.strip().encode(), self.api_key.encode())
        return scheme.lower() == "bearer" and is_same


def allowed_hosts(address: str | None, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names by which requests may address a server; none stands for every name.

    A list keeps out pages elsewhere that have their own name resolve to this machine. Where others
    can reach the server, and it was given no names, the key does that.

    Args:
        address: that it listens on; None stands for all addresses of this machine.
        names: further ones, such as that of a proxy in front of it.
    """
    if not names and (address is None or not is_local(address)):
        return ()
    known = (*_LOOPBACK_NAMES, *([address] if address else []), *names)
    return tuple(dict.fromkeys(name.strip().lower().rstrip(".") for name in known))


def check_reach(address: str | None, names: Sequence[str], *, api_key: str | None) -> None:
    """Check before the server starts that nobody gets in from elsewhere without a key.

    Args:
        address: to listen on; None stands for all addresses of this machine.
        names: by which it may be addressed, as given by the user.
        api_key: what clients have to send.

    Raises:
        UsageError: others can reach it, and there is no key.
    """
    far = [name for name in names if not is_local(name.strip("[]"))]
    if api_key is not None or (address is not None and is_local(address) and not far):
        return
    place = f"by the name {far[0]}" if far else f"on {address or 'all addresses of this machine'}"
    raise UsageError(
        f"others could reach the app {place}, and no API key is set: every program there could "
        'read and change what is indexed. Set one: export GIRCSE_API_KEY="$(openssl rand -hex 32)"'
        " (or api_key in your own config.toml). Without one, listen on 127.0.0.1 alone."
    )


def _host_name(header: str) -> str | None:
    try:
        parts = urlsplit(f"//{header}")
        parts.port  # noqa: B018 - reading it checks that it is a number
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or not parts.hostname:
        return None
    return parts.hostname.rstrip(".")


def _matches(name: str, host: str) -> bool:
    return host in ("*", name) or (host.startswith("*.") and name.endswith(host[1:]))
