"""From a run to its orders, one order, its message and its study; events and findings."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.api.conftest import RUNS, Server
from tests.web.conftest import assert_accessible

ORDERS = 250
SLOW = {"arrival": {"model": "constant", "rate": 20}}  # orders a second


@pytest.fixture(scope="session")
def ended(site: Server) -> dict[str, Any]:
    """A run that has ended, with more orders than one page of the API holds."""
    return site.wait_for_end(site.start_run(orders=ORDERS, seed=7)["id"])


def order_of(site: Server, run: dict[str, Any], number: int) -> dict[str, Any]:
    return dict(site.http.get(f"{RUNS}/{run['id']}/orders/{number}").json())


def open_tab(page: Page, site: Server, run: dict[str, Any], name: str) -> None:
    page.goto(f"{site.url}/#/runs/{run['run_key']}")
    page.get_by_role("link", name=name, exact=True).click()


# --- orders -----------------------------------------------------------------------------------------------------------


def test_orders_are_gone_through_by_key(page: Page, site: Server, ended: dict[str, Any]) -> None:
    open_tab(page, site, ended, "Orders")
    grid = page.get_by_role("grid", name="Orders")
    expect(grid).to_have_attribute("aria-rowcount", str(ORDERS + 1))
    first = grid.get_by_role("link", name="0", exact=True)
    expect(first).to_have_attribute("tabindex", "0")
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(grid.get_by_role("link", name="1", exact=True)).to_be_focused()
    page.keyboard.press("End")
    last = grid.get_by_role("link", name=str(ORDERS - 1), exact=True)
    expect(last).to_be_focused()
    row = grid.get_by_role("row").filter(has=page.get_by_role("link", name=str(ORDERS - 1), exact=True))
    expect(row).to_contain_text("completed")
    expect(row).to_have_attribute("aria-rowindex", str(ORDERS + 1))
    assert grid.get_by_role("row").count() < 60, "only what is in sight is in the page"
    assert_accessible(page)
    last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Order {ORDERS - 1}")).to_be_visible()
    expect(page.get_by_role("link", name=f"Order {ORDERS}")).to_have_count(0)
    page.go_back()
    expect(grid.get_by_role("link", name=str(ORDERS - 10), exact=True)).to_be_in_viewport()


def test_orders_are_looked_for(page: Page, site: Server, ended: dict[str, Any]) -> None:
    open_tab(page, site, ended, "Orders")
    page.get_by_label("State").select_option("COMPLETED")
    expect(page.get_by_text("100 orders, and more")).to_be_visible()
    grid = page.get_by_role("grid", name="Orders")
    grid.get_by_role("link", name="0", exact=True).focus()
    for told in ("200 orders, and more", f"{ORDERS} orders"):
        page.keyboard.press("End")
        expect(page.get_by_text(told, exact=True)).to_be_visible()
    wanted = order_of(site, ended, 123)
    page.get_by_label("Search").fill(wanted["accession"])
    expect(page.get_by_text("1 order", exact=True)).to_be_visible()
    expect(grid.get_by_role("link", name="123", exact=True)).to_be_visible()
    page.get_by_label("Search").fill("nobody")
    expect(page.get_by_text("No order of this run is like this")).to_be_visible()


# --- one order --------------------------------------------------------------------------------------------------------


def test_an_order_is_told_from_its_message_to_its_study(page: Page, site: Server, ended: dict[str, Any]) -> None:
    order = order_of(site, ended, 3)
    page.goto(f"{site.url}/#/runs/{ended['run_key']}/orders/3")
    message = page.get_by_role("region", name="Order message")
    row = message.get_by_role("row").filter(has=page.get_by_role("rowheader", name="PID-3", exact=True))
    expect(row).to_contain_text("Patient identifier list")
    expect(row).to_contain_text(order["patient_id"])
    message.get_by_role("button", name="Raw").click()
    expect(message).to_contain_text(order["hl7"]["text"].split("\n")[1])
    answer = page.get_by_role("region", name="Acknowledgement")
    expect(answer.get_by_role("row").filter(has_text="MSA-2")).to_contain_text(order["control_id"])
    picture = page.get_by_role("img", name="Image 1 of series 1")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    elements = page.get_by_role("region", name="Data elements")
    expect(elements.get_by_role("row").filter(has_text="(0010,0020)")).to_contain_text(order["patient_id"])
    steps = page.get_by_role("region", name="Steps")
    expect(steps.get_by_role("row").filter(has_text="SEND_DICOM")).to_contain_text("succeeded")
    expect(page.get_by_role("region", name="Events of the order")).to_contain_text("order.completed")
    assert_accessible(page)
    page.get_by_role("link", name="Order 4").click()
    expect(page.get_by_role("heading", name="Order 4")).to_be_visible()
    expect(message).to_contain_text(order_of(site, ended, 4)["control_id"])


def test_what_goes_on_is_seen_without_asking(page: Page, site: Server) -> None:
    run = site.start_run(orders=1000, overrides=SLOW)
    site.wait_for(run["id"], lambda state: state == "RUNNING")
    site.http.post(f"{RUNS}/{run['id']}/pause")
    site.wait_for(run["id"], lambda state: state == "PAUSED")
    number = site.summary(run["id"])["orders"]["emitted"] + 2
    page.goto(f"{site.url}/#/runs/{run['run_key']}/orders/{number}")
    expect(page.get_by_text(f"Order {number} is not sent yet.")).to_be_visible()
    site.http.post(f"{RUNS}/{run['id']}/resume")
    state = page.get_by_role("heading", name=f"Order {number}").locator("xpath=following-sibling::*[1]")
    expect(state).to_have_text("completed")
    page.get_by_role("link", name="Events", exact=True).click()
    expect(page.get_by_role("checkbox", name=re.compile("follow"))).to_be_checked()
    events = page.get_by_role("region", name="Events", exact=True)
    expect(events.get_by_role("link", name=str(number + 2), exact=True).first).to_be_visible()
    site.http.post(f"{RUNS}/{run['id']}/cancel")


# --- events and findings ----------------------------------------------------------------------------------------------


def test_events_are_read_on_and_sifted(page: Page, site: Server, ended: dict[str, Any]) -> None:
    open_tab(page, site, ended, "Events")
    expect(page.get_by_text("500 events so far")).to_be_visible()
    page.get_by_role("button", name="Load more").click()
    expect(page.get_by_text("1,000 events so far")).to_be_visible()
    page.get_by_role("checkbox", name="Read on to the end").check()
    expect(page.get_by_text(re.compile(r"^1,000 events, and .+ before these"))).to_be_visible()
    page.get_by_label("First").select_option("the newest")
    page.get_by_label("Event", exact=True).select_option("run.state")
    rows = page.get_by_role("region", name="Events").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("COMPLETED")
    expect(rows.filter(has_text="order.completed")).to_have_count(0)
    assert_accessible(page)


def test_findings_lead_to_their_orders(page: Page, site: Server, ended: dict[str, Any]) -> None:
    open_tab(page, site, ended, "Findings")
    expect(page.get_by_text("Reconciliation found nothing missing")).to_be_visible()
    finding = {"order_number": 5, "accession": "A5", "kind": "missing", "source": "dicom", "detail": "it has no study"}
    page.route("**/findings*", lambda route: route.fulfill(json={"items": [finding], "next_cursor": None}))
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Findings").click()
    row = page.get_by_role("region", name="Findings").get_by_role("row").nth(1)
    expect(row).to_contain_text("missing")
    assert_accessible(page)
    row.get_by_role("link", name="5").click()
    expect(page.get_by_role("heading", name="Order 5")).to_be_visible()


# --- the parts that need no server ------------------------------------------------------------------------------------


MESSAGES = {
    r"PID|1": [("PID-1", [("", "1")])],
    r"PID|||A^^B&C": [("PID-3", [(".1", "A"), (".3.1", "B"), (".3.2", "C")])],
    r"PID|||A~B^C": [("PID-3", [("[1]", "A"), ("[2].1", "B"), ("[2].2", "C")])],
    r"ZZZ|a\T\b\S\c\F\d\R\e\E\f\.br\g": [("ZZZ-1", [("", r"a&b^c|d~e\f\.br\g")])],
    r"ZZZ|a\Eb": [("ZZZ-1", [("", r"a\Eb")])],
    r"MSH|^~\&|A^B": [("MSH-1", [("", "|")]), ("MSH-2", [("", r"^~\&")]), ("MSH-3", [(".1", "A"), (".2", "B")])],
}
PARSE = "async texts => { const { parse } = await import('./web/js/hl7.js'); return texts.map(parse) }"


def test_messages_are_taken_apart(page: Page) -> None:
    texts = [line if line.startswith("MSH") else f"MSH|^~\\&|X\n{line}" for line in MESSAGES]
    for segments, (line, told) in zip(page.evaluate(PARSE, texts), MESSAGES.items(), strict=True):
        parts = [
            (field["place"], [(part["place"], part["value"]) for part in field["parts"]])
            for field in segments[-1]["fields"]
        ]
        assert parts == told, line
    assert page.evaluate(PARSE, ["busy", ""]) == [None, None], "nothing says how these are to be read"


LIST = """async () => {
  const { OrderPages } = await import('./web/js/order_pages.js')
  let there = Array.from({ length: 5000 }, (_, index) => 2 * index)
  let settle
  const load = async (first, limit) => {
    const found = there.filter((number) => number >= first).map((number) => ({ number }))
    return { items: found.slice(0, limit), next_cursor: found.length > limit ? 'more' : null }
  }
  const pages = new OrderPages({ load, requested: null, changed: () => settle() })
  const look = (place, freshness) => new Promise((done) => { settle = done; pages.want(place, place, freshness) })
  await look(0)
  const told = [[pages.found, pages.isWhole, pages.at(99).number, pages.at(100)]]
  for (let place = 100; place < 5000; place += 100) await look(place)
  told.push([pages.found, pages.isWhole, pages.at(4999).number, pages.pages.size, pages.at(0)])
  await look(0)
  told.push([pages.found, pages.isWhole, pages.at(0).number])
  there = there.filter((number) => number > 100)
  await look(0, -1)
  told.push([pages.found, pages.isWhole, pages.at(0).number, pages.at(4999)])
  return told
}"""


def test_pages_of_orders_are_found_forgotten_and_found_again(page: Page) -> None:
    begun, ended, again, changed = page.evaluate(LIST)
    assert begun == [100, False, 198, None]
    assert ended == [5000, True, 9998, 30, None], "the first ones are forgotten"
    assert again == [5000, True, 0]
    assert changed == [100, False, 102, None], "what was behind a page that ends elsewhere is void"
