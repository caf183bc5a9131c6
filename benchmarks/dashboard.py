"""``python -m benchmarks.dashboard [--orders N]``: what a long run costs the page that follows it.

A server of its own, a run of orders alone (the fastest way to many), and a Chromium with the dashboard: on the run's
overview while it goes on, then scrolling through all its orders. The browser counts script time, heap and long tasks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from app.cli.output import note, write_table
from tests.api.conftest import TERMINAL, running_server

CHROMIUM = "/usr/bin/chromium"
ORDERS_ONLY = {"name": "orders-only", "steps": [{"type": "GENERATE_HL7"}]}
LONG_TASKS = """
window.longTasks = []
new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.longTasks.push(entry.duration)))
    .observe({ type: 'longtask', buffered: true })
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard")
    parser.add_argument("--orders", type=int, default=100_000)
    orders = parser.parse_args().orders
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "home") as server:
        run = server.start_run(template=ORDERS_ONLY, orders=orders)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.add_init_script(LONG_TASKS)
            meter = _Meter(page)
            page.goto(f"{server.url}/#/runs/{run['run_key']}")
            while server.run(run["id"])["state"] not in TERMINAL:
                meter.look()
                page.wait_for_timeout(1000)
            rows = [meter.row("following the run")]
            note(f"the run has ended: {orders} orders")
            meter.begin()
            page.goto(f"{server.url}/#/runs/{run['run_key']}/orders")
            _scroll(page, meter)
            rows.append(meter.row("scrolling through its orders"))
            browser.close()
    write_table(rows, [(name, name.upper()) for name in rows[0]])
    return 0


def _scroll(page: Page, meter: _Meter) -> None:
    """With the wheel, and then in leaps over the whole list."""
    page.get_by_role("grid").hover()
    for step in range(60):
        page.mouse.wheel(0, 800 if step < 40 else 400_000)
        page.wait_for_timeout(50)
        if step % 10 == 0:
            meter.look()


class _Meter:
    """What the browser says of the page: script seconds and long tasks since ``begin``, heap and nodes at most."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")
        self.begin()

    def begin(self) -> None:
        self._since = time.monotonic()
        self._script = self._figures().get("ScriptDuration", 0.0)
        self._long = len(self._long_tasks())
        self._heap = self._nodes = 0.0

    def look(self) -> None:
        figures = self._figures()
        self._heap = max(self._heap, figures["JSHeapUsedSize"])
        self._nodes = max(self._nodes, figures["Nodes"])

    def row(self, name: str) -> dict[str, Any]:
        self.look()
        seconds = time.monotonic() - self._since
        script = self._figures()["ScriptDuration"] - self._script
        tasks = self._long_tasks()[self._long :]
        return {
            "what": name,
            "seconds": round(seconds, 1),
            "script_percent": round(100 * script / seconds, 1),
            "heap_mb": round(self._heap / 1e6, 1),
            "nodes": int(self._nodes),
            "tasks_over_50_ms": len(tasks),
            "longest_ms": round(max(tasks, default=0.0)),
        }

    def _figures(self) -> dict[str, float]:
        return {each["name"]: each["value"] for each in self._session.send("Performance.getMetrics")["metrics"]}

    def _long_tasks(self) -> list[float]:
        return list(self._page.evaluate("window.longTasks || []"))


if __name__ == "__main__":
    sys.exit(main())
