"""The pages in a real browser: they read well at two widths, dark and light, and ask nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from app.reporting.comparison import comparison_page
from app.reporting.run_report import errors_by_kind, run_report
from tests.reporting.samples import UNSAFE, sample

CHROMIUM = Path("/usr/bin/chromium")
PAGES = {
    "passed": lambda: run_report(sample(), "1.0"),
    "failed": lambda: run_report(
        sample(failed=7, verdict="fail", reason=UNSAFE, labels={"site": UNSAFE}, template_name="mixed-department"),
        "1.0",
    ),
    "empty": lambda: run_report(sample(orders=0, state="FAILED", verdict=None, started_at=None), "1.0"),
    "compared": lambda: comparison_page(sample(), sample(orders=400, pace=1.0, failed=3, run_key="BF8VBNA2"), "1.0"),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM.exists(), "install chromium: make services"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=sorted(PAGES))
def html(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(PAGES[request.param](), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_reads_well(browser: Browser, html: Path, scheme: Literal["light", "dark"]) -> None:
    page = browser.new_page(color_scheme=scheme)
    told: list[str] = []
    page.on("request", lambda request: told.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(html.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert cut_off(page) == []
        violations = Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == []
    assert set(told) == {html.as_uri()}
    page.close()


def cut_off(page: Page) -> list[str]:
    """Texts of charts that stand out of their frames."""
    return list(
        page.evaluate(
            """[...document.querySelectorAll('svg text')].filter(text => {
                const own = text.getBoundingClientRect(), frame = text.ownerSVGElement.getBoundingClientRect()
                return own.left < frame.left - 1 || own.right > frame.right + 1 || own.bottom > frame.bottom + 1
            }).map(text => text.textContent)"""
        )
    )


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.add(tag)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_what_others_wrote_stays_text_and_nothing_is_loaded(name: str) -> None:
    html = PAGES[name]()
    assert not Tags(html).found & {"script", "link", "img", "iframe"}
    assert "url(" not in html and "@import" not in html


def test_the_verdict_comes_first_and_missed_thresholds_before_the_others() -> None:
    html = run_report(sample(failed=2, verdict="fail"), "1.0")
    places = [
        html.index(text) for text in ("<strong>FAIL</strong>", "<h2>Thresholds", "not met", ">met<", "<h2>Over time")
    ]
    assert places == sorted(places)


def test_errors_are_counted_by_kind_with_examples() -> None:
    orders = [{"accession": f"A{n}", "number": n, "reason": f"0x{0xA700 + n:04X}: out of room {n}"} for n in range(5)]
    orders.append({"accession": "B", "number": 9, "reason": "rejected"})
    first, second = errors_by_kind(orders)
    assert (first.count, len(first.examples), second.text) == (5, 3, "rejected")
