"""Runs on the dashboard: started, followed over lost connections, paused, cancelled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.api.roles import Role
from tests.api.conftest import Server, running_server
from tests.api.in_process import tokens_file
from tests.services.proxy import Proxy
from tests.web.conftest import assert_accessible

Guarded = tuple[Server, dict[Role, str]]
RUN_PATIENCE = 240_000  # ms that a run of 1,000 orders takes at most on a busy machine


def start(page: Page, orders: int, **fields: str) -> str:
    """Fill the form, and start; the run's key."""
    page.get_by_role("link", name="Start a run").first.click()
    page.get_by_label("Template").select_option("metadata-only")
    page.get_by_label("Orders", exact=True).fill(str(orders))
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page).to_have_url(re.compile(r"#/runs/[0-9A-Z]{8}$"))
    return page.url.rpartition("/")[2]


def ended(page: Page) -> None:
    expect(page.locator("h1 ~ .badge").first).to_have_text("completed", timeout=RUN_PATIENCE)


def bar(page: Page, name: str) -> int:
    """What a stage's progress bar says."""
    return int(page.get_by_role("progressbar", name=name).get_attribute("aria-valuenow") or -1)


def test_a_run_is_started_from_the_page_and_seen_to_end(page: Page, site: Server) -> None:
    key = start(page, 1000)
    ended(page)
    expect(page.locator("h1 ~ .badge").nth(1)).to_have_text("pass")
    expect(page.get_by_role("progressbar", name="Completed")).to_have_attribute("aria-valuenow", "1000")
    expect(page.get_by_text("1,000 of 1,000 checked, 0 missing, 0 duplicated, 0 mismatched")).to_be_visible()
    assert site.summary(key)["orders"]["completed"] == 1000
    expect(page.get_by_role("img", name=re.compile("^Orders a second: at last emitted"))).to_be_visible()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Report").click()
    expect(opened.value.locator("h1")).to_contain_text(f"PASS metadata-only, run {key}")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    assert "orders.completed,1000\n" in Path(saved.value.path()).read_text()
    assert_accessible(page)


def test_it_catches_up_after_its_connections_were_cut(context: BrowserContext, site: Server) -> None:
    """What is missed makes no gap, and what comes again counts once."""
    with Proxy(int(site.url.rpartition(":")[2])) as proxy:
        page, url = context.new_page(), f"http://127.0.0.1:{proxy.port}"
        page.goto(url)
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        started = site.start_run(orders=240, overrides={"arrival": {"model": "constant", "rate": 60}})
        page.goto(f"{url}/#/runs/{started['run_key']}")
        expect(page.get_by_role("progressbar", name="Emitted")).not_to_have_attribute("aria-valuenow", "0")
        with proxy.refusing():
            expect(page.get_by_text("polling", exact=True)).to_be_visible()
            before = bar(page, "Completed")
            page.wait_for_timeout(1500)
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        ended(page)
        assert before < 240
        assert {name: bar(page, name) for name in ("Emitted", "Acknowledged", "Completed")} == {
            "Emitted": 240,
            "Acknowledged": 240,
            "Completed": 240,
        }


def test_a_run_is_paused_resumed_and_cancelled(page: Page, site: Server) -> None:
    run = site.start_run(orders=2000, overrides={"arrival": {"model": "constant", "rate": 50}})
    page.goto(f"{site.url}/#/runs/{run['run_key']}")
    state = page.locator("h1 ~ .badge").first
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text(re.compile("running|waiting on workers"))
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(state).to_have_text("cancelled", timeout=RUN_PATIENCE)


def test_what_is_wrong_with_a_run_is_said_beside_the_field(page: Page) -> None:
    page.get_by_role("link", name="Start a run").first.click()
    page.get_by_label("Orders", exact=True).fill("many")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_label("Orders", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Orders", exact=True).fill("9")
    page.get_by_label("Archive (DICOM)").fill("nonsense")
    page.get_by_label("Thresholds, one a line").fill("hl7_ack.p95 << 3")
    page.get_by_role("button", name="Start", exact=True).click()
    for label in ("Archive (DICOM)", "Thresholds, one a line"):
        field = page.get_by_label(label, exact=True)
        expect(field).to_have_attribute("aria-invalid", "true")
        told = page.locator(f"#{(field.get_attribute('aria-describedby') or '').split()[-1]}")
        expect(told).not_to_be_empty()
    assert_accessible(page)


def test_connections_are_checked_before_a_run(page: Page, site: Server) -> None:
    page.get_by_role("link", name="Start a run").first.click()
    page.get_by_label("Order receiver (MLLP)").fill(f"127.0.0.1:{site.url.rpartition(':')[2]}")
    page.get_by_label("Archive (DICOM)").fill("NOBODY@127.0.0.1:1")
    page.get_by_role("button", name="Check the connections").click()
    rows = page.get_by_role("region", name="Connections").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("takes connections")
    expect(rows.nth(2)).to_contain_text("NOBODY@127.0.0.1:1no")


def test_the_list_of_runs_is_filtered_and_leads_to_them(page: Page, site: Server) -> None:
    run = site.start_run(orders=5)
    site.wait_for_end(run["id"])
    page.get_by_label("Template").select_option("metadata-only")
    page.get_by_label("State").select_option("COMPLETED")
    expect(page).to_have_url(re.compile("state=COMPLETED"))
    page.get_by_role("link", name=run["run_key"]).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(run["run_key"])
    page.go_back()
    expect(page.get_by_label("State")).to_have_value("COMPLETED")
    page.get_by_label("State").select_option("FAILED")
    expect(page.get_by_text("No run is here that is like this.")).to_be_visible()
    assert_accessible(page)


def test_a_run_that_is_not_there_is_said_to_be_that(page: Page, site: Server) -> None:
    page.goto(f"{site.url}/#/runs/NOTTHERE")
    expect(page.get_by_role("alert")).to_contain_text("no run 'NOTTHERE'")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that asks for tokens, and one of each role."""
    folder = tmp_path_factory.mktemp("guarded")
    path, tokens = tokens_file(folder)
    with running_server(folder / "home", YEETER_TOKENS_FILE=str(path)) as server:
        server.http.headers["Authorization"] = f"Bearer {tokens[Role.OPERATOR]}"
        yield server, tokens


def test_everybody_sees_what_their_role_may_do(context: BrowserContext, guarded: Guarded) -> None:
    server, tokens = guarded
    run = server.start_run(orders=3000, overrides={"arrival": {"model": "constant", "rate": 20}})
    page = context.new_page()
    page.goto(server.url)
    assert_accessible(page)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("The server does not know this token.")).to_be_visible()
    for role, can in ((Role.VIEWER, False), (Role.OPERATOR, True)):
        page.get_by_label("Token").fill(tokens[role])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text(f"({role})")).to_be_visible()
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        page.get_by_role("link", name=run["run_key"]).click()
        expect(page.get_by_role("progressbar", name="Emitted")).to_be_visible()
        for name in ("Pause", "Cancel"):
            expect(page.get_by_role("button", name=name)).to_have_count(int(can))
        expect(page.get_by_role("link", name="Start a run")).to_have_count(int(can))
        page.get_by_role("link", name="Runs").first.click()
        page.get_by_role("button", name="Sign out").click()
    server.http.post(f"/api/simulator/runs/{run['id']}/cancel")
