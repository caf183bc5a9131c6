"""``python -m tests.web.screenshots``: takes the pictures of docs/dashboard.md anew, of a server with a few runs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.api.conftest import Server, running_server
from tests.web.conftest import CHROMIUM

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "dashboard"
HEIGHT = 900
SETTLED = 1500  # ms

Step = Callable[[Page], None]


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "home") as server:
        pictures = _pictures(*_runs(server))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name, (address, steps) in pictures.items():
                _take(browser, f"{server.url}/#/{address}", name, steps)
            _take(browser, f"{server.url}/#/{pictures['run'][0]}", "narrow", (), width=390, height=844)
            browser.close()
    return 0


def _runs(server: Server) -> tuple[str, str, str]:
    """The keys of two that have ended, and of one that goes on."""
    common = {"study.pixels": "tiny", "study.preset": "compact"}
    first = server.start_run(template="mixed-department", orders=800, seed=1, overrides=common)
    server.wait_for_end(first["id"])
    rate = {"arrival": {"model": "constant", "rate": 60}}
    second = server.start_run(template="mixed-department", orders=400, seed=2, overrides=common | rate)
    server.wait_for_end(second["id"])
    third = server.start_run(orders=100_000, seed=3, overrides={"arrival": {"model": "poisson", "rate": 40}})
    return first["run_key"], second["run_key"], third["run_key"]


def _pictures(first: str, second: str, third: str) -> dict[str, tuple[str, tuple[Step, ...]]]:
    return {
        "runs": ("runs", ()),
        "start": ("start", ()),
        "live": (f"runs/{third}", (lambda page: page.wait_for_timeout(6000),)),
        "run": (f"runs/{first}", ()),
        "orders": (f"runs/{first}/orders", ()),
        "order": (f"runs/{first}/orders/3", ()),
        "compare": (f"compare/{first}/{second}", ()),
        "templates": ("templates", ()),
        "workers": ("workers", ()),
        "dead-letters": ("dead-letters", ()),
        "queues": ("queues", ()),
        "destinations": ("destinations", ()),
    }


def _take(
    browser: Browser, address: str, name: str, steps: tuple[Step, ...], width: int = 1280, height: int = HEIGHT
) -> None:
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(address)
        page.wait_for_timeout(SETTLED)
        for step in steps:
            step(page)
        page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
        page.close()


if __name__ == "__main__":
    sys.exit(main())
