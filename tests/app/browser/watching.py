"""What every page has to keep: no errors, no dialogs of scripts, no request to anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from playwright.sync_api import (
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    LocatorAssertions,
    Page,
    Position,
    Request,
)
from playwright.sync_api import expect as expect_now

TIMEOUT_MS = 60_000
PATIENCE_MS = 5_000
"""How long a click waits for what keeps moving."""
TWICE = "strict mode violation"
# Streamlit says that all is drawn a while before the browser shows the last of it.
IS_DRAWN = """patience => new Promise(resolve => {
    const isAtWork = () =>
        document.querySelector('.stApp')?.dataset.testScriptState === 'running' ||
        document.getAnimations().some(one => one.playState === 'running'
            && Number.isFinite(one.effect.getComputedTiming().endTime))
    const watcher = new MutationObserver(wait)
    const end = setTimeout(finish, patience, false)
    let calm
    function wait() {
        clearTimeout(calm)
        calm = setTimeout(() => isAtWork() ? wait() : finish(true), 300)
    }
    function finish(isDrawn) {
        watcher.disconnect()
        clearTimeout(calm)
        clearTimeout(end)
        resolve(isDrawn)
    }
    watcher.observe(document, {
        subtree: true, childList: true, attributes: true, characterData: true
    })
    wait()
})"""
# What is redrawn in its place all the time, as progress is, can be clicked all the same.
STANDS_STILL = """(element, patience) => new Promise(resolve => {
    const app = document.querySelector('.stApp')
    const end = performance.now() + patience
    let [place, looks] = ['', 0]
    const timer = setInterval(() => {
        const now = JSON.stringify(element.getBoundingClientRect())
        const isStill = now === place && app?.dataset.testScriptState !== 'running'
        looks = isStill ? looks + 1 : 0
        place = now
        if (looks < 6 && element.isConnected && performance.now() < end) return
        clearInterval(timer)
        resolve(element.isConnected)
    }, 50)
})"""


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


class _Patient:
    """Playwright's assertions, which give up at once where a locator finds two elements.

    Streamlit shows what was and what comes side by side while it draws a page anew, so a second
    one is waited out like anything else that is not yet as it should be.
    """

    def __init__(self, locator: Locator) -> None:
        self._page = locator.page
        self._assertions = expect_now(locator)

    def __getattr__(self, name: str) -> Callable[..., None]:
        assertion = getattr(self._assertions, name)

        def hold(*values: Any, timeout: float = TIMEOUT_MS, **options: Any) -> None:
            ask = partial(assertion, *values, timeout=timeout, **options)
            _once_alone(self._page, ask, timeout=timeout)

        return hold


def _once_alone(page: Page, act: Callable[[], None], *, timeout: float = TIMEOUT_MS) -> None:
    """Do something, again as long as there are two elements of which one is meant."""
    end = time.monotonic() + timeout / 1000
    while True:
        try:
            return act()
        except (AssertionError, Error) as error:
            if TWICE not in str(error) or time.monotonic() > end:
                raise
        page.wait_for_timeout(50)


def expect(locator: Locator) -> LocatorAssertions:
    return cast("LocatorAssertions", _Patient(locator))


def wait_until_drawn(page: Page) -> None:
    """Wait until the page is not being drawn: what a test reads from it then stays as it is."""
    assert page.evaluate(IS_DRAWN, TIMEOUT_MS), f"not drawn within {TIMEOUT_MS} ms"


def wait_for_address(page: Page, part: str) -> None:
    """Wait until the page's address holds something."""
    page.wait_for_url(lambda url: part in url)


def click(target: Locator, *, position: Position | None = None) -> None:
    """Click something once it stands still; if it never does, after some seconds.

    Where it moves between the press and the release of the button, the browser gives the click to
    what holds both places, and nobody takes it.
    """

    def press() -> None:
        while not target.evaluate(STANDS_STILL, PATIENCE_MS):
            pass  # another has taken its place
        target.click(position=position)

    expect(target).to_be_visible()
    _once_alone(target.page, press)


def enter(box: Locator, text: str) -> None:
    """Type a text into a box, in place of what is in it, and press Enter."""
    box.fill(text)
    box.press("Enter")


def note_socket(watched: Watched, url: str) -> None:
    if urlsplit(url).hostname != "127.0.0.1":
        watched.foreign.append(url)
