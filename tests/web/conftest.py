"""The dashboard in a real Chromium, against a server as people run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.api.conftest import Server, running_server

CHROMIUM = Path("/usr/bin/chromium")
WIDE, NARROW = (1280, 900), (360, 800)
PATIENCE = 60_000  # ms that a page takes at most on a busy machine
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")  # while it is open, nothing else in this process can run an event loop
def browser() -> Iterator[Browser]:
    assert CHROMIUM.exists(), "install chromium: make services"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An embedded server, where nobody needs a token."""
    with running_server(tmp_path_factory.mktemp("site") / "home") as server:
        yield server


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, site: Server) -> Iterator[Page]:
    """The dashboard, at its list of runs. What a browser complains of fails the test."""
    with watched(context.new_page(), site.url) as page:
        page.goto(site.url)
        yield page


@contextmanager
def watched(page: Page, url: str) -> Iterator[Page]:
    """While it is open, no error is written to the console, nothing is thrown, and nobody else is asked anything."""
    origin = urlsplit(url).netloc
    told: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # That the server refused something is told by the page itself; the browser tells of it, too.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            told.append(message.text)

    def asked(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != origin:
            told.append(f"asked for {request.url}")

    page.on("console", heard)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", asked)
    yield page
    assert told == []


def assert_accessible(page: Page) -> None:
    """axe finds nothing, and nothing stands out of the page, wide and narrow, light and dark."""
    for width, height in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"too wide at {width} px"
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            violations = Axe().run(page).response["violations"]
            found = [(each["id"], node["html"][:200]) for each in violations for node in each["nodes"][:2]]
            assert found == [], f"at {width} px, {scheme}"
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    page.emulate_media(color_scheme="light")
