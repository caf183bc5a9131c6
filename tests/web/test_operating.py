"""Operating on the dashboard: workers, queues, dead letters and destinations over a broker; and comparing runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
import uvicorn
from playwright.sync_api import BrowserContext, Page, expect
from starlette.types import ASGIApp

from app.api.roles import Role
from app.domain.run import RunState
from app.domain.scaling import PoolLoad, ScalingDecision, ScalingKind
from app.domain.work import Death, NewDeadLetter
from app.ports import Message
from app.runs.start import RunRequest, start_run
from tests.api.conftest import Server
from tests.api.in_process import InProcess, over_a_broker, tokens_file
from tests.api.test_monitoring import QUEUE, Begun, beat
from tests.web.conftest import assert_accessible, watched

ARCHIVE = "ARCHIVE@pacs:104"
POOLS = "[{name: default, max: 9}, {name: send, deployment: yeeter-worker-send, queues: [send_dicom]}]"
DOCUMENT = {
    "name": "test",
    "destinations": {"hl7": {"host": "127.0.0.1", "port": 2575}},
    "steps": [{"type": "GENERATE_HL7", "queue_async": True}, *[{"type": "WAIT", "parameters": {"seconds": 1}}] * 2],
}
SHOWN = {  # what tells that a view has what its buttons would be about
    "workers": "Pool send",
    "queues": "send_dicom",
    "dead-letters": "not a job",
    "dead-letters/1": "What was tried",
    "destinations": ARCHIVE,
}
Open = Callable[[str, Role], Page]


@dataclass(frozen=True)
class Operated:
    """A server with something to operate: an empty pool and a busy one, waiting messages, failed jobs."""

    url: str
    application: InProcess
    tokens: dict[Role, str]
    run_key: str


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """An application on a free port, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None))
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    folder = tmp_path_factory.mktemp("operated")
    path, tokens = tokens_file(folder)
    pools = folder / "pools.yaml"
    pools.write_text(POOLS)
    with over_a_broker(folder / "home", tokens_file=path, autoscaler_pools_file=pools) as application:
        run_key = play(application)
        with served(application.app) as url:
            yield Operated(url, application, tokens, run_key)


def play(application: InProcess) -> str:
    """A run whose jobs end in every way, and what is told of workers and destinations."""
    bundle = application.bundle
    bundle.broker.declare([QUEUE])
    bundle.broker.publish([Message(str(number), QUEUE, b"") for number in range(3)])
    run = start_run(bundle.database, bundle.types, RunRequest(DOCUMENT, orders=9), datetime.now().astimezone())
    begun = Begun(bundle.database, run, types=("WAIT", "WAIT", "WAIT"), queues=(QUEUE, QUEUE))
    begun.move(RunState.RUNNING)
    begun.acknowledge(0, 1, 2, 3)
    begun.publish()
    for number in (0, 1):
        [claim] = begun.claim(number)
        begun.finish(begun.died(number, claim))
    since = datetime.now(UTC) - timedelta(minutes=2)
    with bundle.database.transaction() as work:
        work.dead_letters.add([NewDeadLetter(QUEUE, "x", "", Death("not_a_job", "no job at all"), "w")])
        work.destinations.report(ARCHIVE, "no route to it", misconfigured=True)
        for number in range(3):
            load = PoolLoad(500 - 100 * number, 8, 0, 1 + number, 3.25, 0.5)
            at = since + timedelta(seconds=15 * number)
            reason = f"look {number} found work"
            decision = ScalingDecision(
                "default", at, ScalingKind.OUT, 1 + number, 2 + number, 2 + number, reason, 5, load
            )
            work.scaling.add(decision, "uid", applied=True)
    return run.run_key


@pytest.fixture
def opened(context: BrowserContext, operated: Operated) -> Iterator[Open]:
    """Opens a view for somebody of this role."""
    with watched(context.new_page(), operated.url) as page:

        def opened(view: str, role: Role = Role.ADMIN) -> Page:
            page.add_init_script(f"sessionStorage.setItem('yeeter-token', '{operated.tokens[role]}')")
            page.goto(f"{operated.url}/#/{view}")
            return page

        yield opened


def test_a_viewer_is_offered_nothing_that_would_be_refused(opened: Open) -> None:
    for view, text in SHOWN.items():
        page = opened(view, Role.VIEWER)
        expect(page.get_by_role("main").get_by_text(text).first).to_be_visible()
        offered = page.get_by_role("button", name=re.compile("^(Set the number|Purge|Release|Retry|Discard)"))
        expect(offered).to_have_count(0)


def test_a_pool_is_given_a_number_and_left_to_its_load_again(opened: Open, operated: Operated) -> None:
    beat(operated.application, "busy-worker")
    beat(operated.application, "leaving-worker", draining=True)
    page = opened("workers")
    pool = page.get_by_role("region", name="Pool default")
    expect(pool).to_contain_text("4 workers decided, 3 there")
    expect(pool.get_by_role("img", name=re.compile("^Workers of default: .*decided 4"))).to_be_visible()
    expect(pool.get_by_role("img", name=re.compile("^Backlog of default: at last ready 300"))).to_be_visible()
    expect(page.get_by_role("region", name="Workers that are alive")).to_contain_text("draining")
    pool.get_by_text("Decisions, with their reasons").click()
    expect(pool.get_by_role("row").nth(1)).to_contain_text("look 2 found work")
    assert_accessible(page)

    pool.get_by_role("button", name="Set the number").click()
    dialog = page.get_by_role("dialog")
    number = dialog.get_by_label("Workers", exact=True)
    number.fill("many")
    dialog.get_by_role("button", name="Set the number").click()
    expect(number).to_have_attribute("aria-invalid", "true")
    number.fill("7")
    dialog.get_by_role("button", name="Set the number").click()
    expect(dialog).to_have_count(0)
    expect(pool).to_contain_text(re.compile(r"7 workers until .*, by admin"))
    pool.get_by_role("button", name="Back to automatic").click()
    page.get_by_role("dialog").get_by_role("button", name="Back to automatic").click()
    expect(pool).not_to_contain_text("7 workers until")


def test_dead_letters_are_read_retried_and_discarded(opened: Open, operated: Operated) -> None:
    page = opened("dead-letters")
    letters = page.get_by_role("region", name="Dead letters", exact=True)
    expect(letters.get_by_role("row")).to_have_count(4)
    assert_accessible(page)
    page.get_by_role("button", name="permanent").click()
    expect(letters.get_by_role("row")).to_have_count(3)
    assert "step_type=WAIT" in page.url

    letters.get_by_role("row").nth(2).get_by_role("link").first.click()
    expect(page.get_by_role("region", name="What was tried")).to_contain_text("no good")
    expect(page.get_by_role("link", name=operated.run_key)).to_be_visible()
    expect(page.get_by_text("Traceback: ...")).to_be_visible()
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.locator("h1 + *")).to_have_text("retried")
    expect(page.get_by_role("button", name="Discard")).to_have_count(0)

    page.go_back()
    expect(letters.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Retry what is filtered").click()
    expect(page.get_by_role("dialog")).to_contain_text("Retry 1 dead letter?")
    page.get_by_role("button", name="Retry 1").click()
    expect(page.get_by_text("No dead letter is like this.")).to_be_visible()

    page.get_by_role("button", name="Clear the filters").click()
    page.get_by_role("button", name="Retry all").click()
    page.get_by_role("button", name="Retry 1").click()
    expect(page.get_by_text("1 were left as they are:")).to_be_visible()
    page.get_by_role("button", name="Discard all").click()
    page.get_by_role("button", name="Discard 1").click()
    expect(page.get_by_role("button", name="Discard all")).to_be_disabled()


def test_a_queue_is_purged_and_its_jobs_released(opened: Open) -> None:
    page = opened("queues")
    row = page.get_by_role("region", name="Queues", exact=True).get_by_role("row").filter(has_text=QUEUE)
    expect(row.get_by_role("cell").first).to_have_text("3")
    expect(page.get_by_role("button", name="Purge yeeter.dead")).to_have_count(0)
    row.get_by_role("button", name="Purge").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 messages wait in it now")
    expect(dialog.get_by_label("Park them")).to_be_checked()
    dialog.get_by_role("button", name="Purge").click()
    expect(page.get_by_role("status").get_by_text("3 messages are thrown away")).to_be_visible()
    expect(page.get_by_role("region", name="Parked jobs")).to_contain_text("somebody to release them")
    expect(page.get_by_role("img", name=re.compile("^Messages that wait"))).to_be_visible()
    assert_accessible(page)
    row.get_by_role("button", name="Release").click()
    page.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(row.get_by_role("button", name="Release")).to_have_count(0)


def test_what_is_away_is_told_with_its_reason(opened: Open) -> None:
    page = opened("destinations")
    destination = page.get_by_role("region", name="Destinations", exact=True).get_by_role("row").nth(1)
    for text in (ARCHIVE, "open", "no route to it"):
        expect(destination).to_contain_text(text)
    services = page.get_by_role("region", name="Services").get_by_role("row")
    expect(services.filter(has_text="Database")).to_contain_text("well")
    expect(services.filter(has_text="Destinations")).to_contain_text("not well")
    assert_accessible(page)


def test_an_embedded_server_says_where_its_workers_are(page: Page) -> None:
    page.get_by_role("link", name="Workers").click()
    expect(page.get_by_text("each run works on its own jobs")).to_be_visible()
    expect(page.get_by_role("button", name="Set the number")).to_have_count(0)
    assert_accessible(page)


def test_two_runs_are_compared_from_the_list(page: Page, site: Server) -> None:
    keys = [site.start_run(orders=orders, seed=1)["run_key"] for orders in (6, 2)]
    for key in keys:
        site.wait_for_end(key)
    for key in keys:
        page.get_by_role("checkbox", name=f"Compare {key}").check()
    page.get_by_role("button", name="Compare two").click()
    expect(page.get_by_role("region", name="Before", exact=True)).to_contain_text(keys[0])
    expect(page.get_by_role("region", name="Settings that differ")).to_contain_text("orders")
    figures = page.get_by_role("region", name="Figures").get_by_role("row")
    expect(figures.filter(has_text="orders.completed")).to_contain_text("-67 %")
    expect(figures.filter(has_text="reconciliation.missing")).to_have_count(0)
    assert_accessible(page)
    page.get_by_label("Show").select_option("all")
    expect(figures.filter(has_text="reconciliation.missing")).to_contain_text("same")

    with page.context.expect_page() as opened:
        page.get_by_role("button", name="As a page of its own").click()
    expect(opened.value.locator("h1")).to_contain_text(keys[1])
    page.get_by_role("button", name="Swap them").click()
    expect(page.get_by_role("combobox", name="Before")).to_have_value(keys[1])
    page.get_by_role("combobox", name="After").select_option(keys[1])
    expect(page).to_have_url(re.compile(f"#/compare/{keys[1]}/{keys[1]}$"))
    expect(page.get_by_text("Both had the same settings.")).to_be_visible()
