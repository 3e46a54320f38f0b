"""What every page has to keep: no errors, no dialogs of scripts, no request to anywhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Dialog, Page, Request, expect


@dataclass
class Watched:
    """A page and what it did."""

    page: Page
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def check(self) -> None:
        assert self.foreign == []
        assert self.complaints == []
        assert self.dialogs == []


def watch(page: Page) -> Watched:
    watched = Watched(page)

    def note_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            watched.foreign.append(request.url)

    def note_message(message: ConsoleMessage) -> None:
        # Opened by its address, a page is where Streamlit first looks for itself, in vain.
        is_probe = "_stcore" in urlsplit(message.location.get("url", "")).path.split("/")[2:]
        if message.type == "error" and not is_probe:
            watched.complaints.append(message.text)

    def note_dialog(dialog: Dialog) -> None:
        watched.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("request", note_request)
    page.on("websocket", lambda socket: note_socket(watched, socket.url))
    page.on("console", note_message)
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on("dialog", note_dialog)
    return watched


def wait_until_drawn(page: Page) -> None:
    """Wait until the page is not being drawn: what a test reads from it then stays as it is."""
    expect(page.locator(".stApp")).to_have_attribute("data-test-script-state", "notRunning")


def note_socket(watched: Watched, url: str) -> None:
    if urlsplit(url).hostname != "127.0.0.1":
        watched.foreign.append(url)
