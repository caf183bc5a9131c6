"""Templates in the dashboard: read, edited as a form and as YAML, and run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from app.api.documents import parse_yaml
from app.domain.arrival import Arrival
from app.domain.order import MODALITIES
from app.domain.webhook import HIDDEN
from tests.api.conftest import TEMPLATES, Server
from tests.web.conftest import assert_accessible

DOCUMENT: dict[str, Any] = {
    "name": "edited",
    "orders": 5,
    "population": {"repeat_patients": 0.5},
    "arrival": {"model": "constant", "rate": 40},
    "thresholds": ["hl7_ack.p95 < 60s"],
    "steps": [
        {"type": "GENERATE_HL7", "queue_async": True},
        {"type": "GENERATE_DICOM", "queue": "images", "queue_metadata": {"team": "radiology", "level": 3}},
        {"type": "SEND_DICOM", "retry": {"max_attempts": 2}},
    ],
}
WEBHOOK = {"url": "http://127.0.0.1:9/hook", "headers": {"Authorization": "Bearer s3cret"}}

Store = Callable[..., dict[str, Any]]


@pytest.fixture
def store(site: Server) -> Iterator[Store]:
    """Stores DOCUMENT with changes; all templates of tests are gone afterwards."""

    def store(**changes: Any) -> dict[str, Any]:
        response = site.http.post(TEMPLATES, json=DOCUMENT | changes)
        assert response.status_code == 201, response.text
        return dict(response.json()["document"])

    yield store
    for item in site.http.get(TEMPLATES).json()["items"]:
        if not item["shipped"]:
            site.http.delete(f"{TEMPLATES}/{item['id']}")


def stored(site: Server, name: str = "edited") -> dict[str, Any]:
    return dict(site.http.get(f"{TEMPLATES}/{name}").json())


def go(page: Page, path: str) -> None:
    page.evaluate("path => { location.hash = path }", f"#/{path}")


def edit(page: Page, name: str = "edited") -> None:
    go(page, f"templates/{name}/edit")
    expect(page.get_by_role("status").filter(has_text="Valid")).to_be_visible()


def part(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def step(page: Page, number: int) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=re.compile(f"^{number} ")))


def save(page: Page, name: str = "edited") -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name=f"Template {name}")).to_be_visible()


def started_run(page: Page, site: Server) -> dict[str, Any]:
    expect(page.get_by_role("heading", name=re.compile("^Run [0-9A-Z]{8}$"))).to_be_visible()
    return site.run(page.url.rsplit("/", 1)[1])


def test_what_is_shown_as_yaml_is_the_document(page: Page, site: Server) -> None:
    documents = [item["document"] for item in site.http.get(TEMPLATES).json()["items"]]
    texts = [
        "",
        " ",
        "no",
        "Y",
        "~",
        "null",
        "1.5",
        "0x1F",
        "12:30",
        "2026-01-05",
        "- a",
        "a: b",
        "a #b",
        "a, b",
        "[x]",
    ]
    texts += [
        "two\nlines",
        "ends\n",
        "ends\n\n",
        " indented\nmore",
        "a\n\n  b\n",
        "\n",
        "tab\tin",
        "cr\r\nlf",
        "x\x7f\x85",
    ]
    texts += [
        "\u2028",
        "\ufeff",
        "Jürgen",
        "日本",
        "😀",
        "'",
        '"',
        "\\",
        "%",
        "@at",
        "`",
        "trailing ",
        "x\ny ",
        "|",
        "a:",
    ]
    numbers = [0, -1, 1.5, 1e21, 1.5e-7, 1e-7, -2e300, True, False]
    documents += [
        {"texts": texts, **{text: text for text in texts}},
        {"numbers": numbers},
        {"deep": [[1, [2]], {"a": {"b": [{}]}}]},
    ]
    for document in documents:
        yaml = page.evaluate("async ([value]) => (await import('./web/js/yaml.js')).yamlOf(value)", [document])
        assert parse_yaml(yaml.encode()) == document


def test_templates_are_listed_and_read(page: Page, store: Store) -> None:
    store()
    page.get_by_role("link", name="Templates").click()
    row = page.get_by_role("row", name="edited")
    expect(row).to_contain_text("images, default")
    expect(page.get_by_role("row", name="split-queues")).to_contain_text("shipped")
    row.get_by_role("link", name="edited", exact=True).click()
    expect(page.get_by_role("row", name="split-queues")).to_have_count(
        0
    )  # the list has gone, whose rows name steps, too
    expect(page.get_by_role("row", name="GENERATE_DICOM")).to_contain_text("images")
    expect(page.get_by_role("row", name="GENERATE_DICOM")).to_contain_text("team: radiology")
    expect(page.get_by_role("row", name="SEND_DICOM")).to_contain_text("yeeter.simulation.orders")
    expect(page.get_by_text("40 orders a second")).to_be_visible()
    assert_accessible(page)


def test_a_viewer_is_offered_nothing_that_would_be_refused(page: Page, store: Store) -> None:
    store()
    page.route("**/api/access", lambda route: route.fulfill(json={"name": "eve", "role": "viewer"}))
    page.reload()
    go(page, "templates/edited/edit")
    expect(page.get_by_role("heading", name="Template edited")).to_be_visible()
    expect(page.locator("main").get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("link", name="Run this template")).to_have_count(0)


def test_a_template_is_copied_and_deleted(page: Page, site: Server, store: Store) -> None:
    document = store()
    go(page, "templates/edited")
    page.get_by_role("button", name="Copy").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the copy").fill("Not A Name")
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_label("Name of the copy")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Name of the copy").fill("other")
    dialog.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("heading", name="Template other")).to_be_visible()
    assert stored(site, "other")["document"] == document | {"name": "other"}
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Templates")).to_be_visible()
    assert site.http.get(f"{TEMPLATES}/other").status_code == 404


def test_a_form_changes_what_is_changed_in_it_and_nothing_else(page: Page, site: Server, store: Store) -> None:
    document = store()
    edit(page)
    for modality in MODALITIES:
        expect(page.get_by_label(modality, exact=True)).to_be_visible()
    models = (
        page.get_by_label("Arrival", exact=True).locator("option").evaluate_all("all => all.map(each => each.value)")
    )
    assert models == Arrival.model_json_schema()["properties"]["model"]["enum"]
    page.get_by_label("Orders", exact=True).fill("7")
    page.get_by_label("MR", exact=True).fill("2.5")
    page.get_by_label("Arrival", exact=True).select_option("profile")
    page.get_by_label("Orders of each hour").fill(" ".join(str(hour) for hour in range(24)))
    page.get_by_label("For", exact=True).fill("10m")
    page.get_by_label("Send to a receiver of your own").check()
    part(page, "Order receiver (HL7)").get_by_label("Host").fill("ris.example")
    page.get_by_label("Webhook address").fill("http://127.0.0.1:9/hook")
    save(page)
    template = stored(site)
    changed = {name: value for name, value in template["document"].items() if document.get(name) != value}
    assert template["version"] == 2
    assert changed == {
        "orders": 7,
        "modalities": {"CT": 1, "MR": 2.5},
        "arrival": {"model": "profile", "duration": 600, "hourly": list(range(24))},
        "destinations": {"hl7": template["document"]["destinations"]["hl7"]},
        "webhook": {"url": "http://127.0.0.1:9/hook", "headers": {}, "timeout": 10},
    }
    assert template["document"]["destinations"]["hl7"]["host"] == "ris.example"


def test_steps_are_added_moved_filled_in_and_removed(page: Page, site: Server, store: Store) -> None:
    document = store()
    edit(page)
    page.get_by_label("Another step").select_option("WAIT")
    page.get_by_role("button", name="Add it").click()
    expect(step(page, 4)).to_be_focused()
    expect(step(page, 4).get_by_label("Parameters")).to_have_attribute("aria-invalid", "true")  # and so it is open
    step(page, 4).get_by_label("Parameters").fill('{"seconds": ')
    expect(step(page, 4).get_by_text("this is no JSON")).to_be_visible()
    step(page, 4).get_by_label("Parameters").fill('{"seconds": 3}')
    step(page, 4).get_by_role("button", name="Add an entry").click()
    step(page, 4).get_by_label("Entry 1: name").fill("ward")
    step(page, 4).get_by_label("Entry 1: value").fill('"7"')
    page.get_by_role("button", name="Up step 4").click()
    expect(step(page, 3)).to_be_focused()
    expect(step(page, 3).get_by_label("Entry 1: value")).to_have_value('"7"')
    page.get_by_role("button", name="Remove step 2").click()
    save(page)
    steps = stored(site)["document"]["steps"]
    assert [each["type"] for each in steps] == ["GENERATE_HL7", "WAIT", "SEND_DICOM"]
    assert (steps[1]["parameters"], steps[1]["queue_metadata"]) == ({"seconds": 3}, {"ward": "7"})
    assert [steps[0], steps[2]] == [document["steps"][0], document["steps"][2]]


def test_a_problem_is_told_beside_its_field_and_gone_to(page: Page, store: Store) -> None:
    store(name="taken")
    store()
    edit(page)
    page.get_by_label("Send to a receiver of your own").check()
    page.get_by_label("Port", exact=True).fill("99999")
    expect(page.get_by_label("Port", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Thresholds, one a line").fill("nonsense")
    step(page, 2).get_by_text("Parameters, retry").click()
    expect(page.get_by_role("status").filter(has_text="2 problems")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Port", exact=True)).to_be_focused()
    page.get_by_label("Port", exact=True).fill("2575")
    page.get_by_label("Thresholds, one a line").fill("")
    part(page, "What").get_by_label("Name").fill("taken")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="taken")).to_be_visible()


def test_what_somebody_else_saved_meanwhile_is_not_written_over(page: Page, site: Server, store: Store) -> None:
    store()
    edit(page)
    page.get_by_label("Orders", exact=True).fill("7")
    site.http.put(f"{TEMPLATES}/edited", json=DOCUMENT | {"orders": 6}).raise_for_status()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="version 2")).to_be_visible()
    assert stored(site)["document"]["orders"] == 6


def test_yaml_and_form_are_the_same_document(page: Page, site: Server, store: Store) -> None:
    document = store()
    edit(page)
    page.get_by_label("Orders", exact=True).fill("8")
    page.get_by_role("button", name="YAML").click()
    yaml = page.get_by_label("The template as YAML")
    text = yaml.input_value()
    assert parse_yaml(text.encode()) == document | {"orders": 8}
    yaml.fill("orders: [")
    expect(page.get_by_role("alert").filter(has_text="line 1")).to_be_visible()
    page.get_by_role("button", name="Form").click()
    expect(yaml).to_be_visible()  # what can't be read stays as it is
    yaml.fill(f"# ours\n{text.replace('repeat_patients: 0.5', 'repeat_patients: 0.25')}")
    page.get_by_role("button", name="Form").click()
    expect(page.get_by_label("Orders", exact=True)).to_have_value("8")
    page.get_by_role("button", name="YAML").click()
    assert yaml.input_value().startswith("# ours\n")  # as it was, while the form has not changed it
    save(page)
    saved = stored(site)["document"]
    assert (saved["orders"], saved["population"]["repeat_patients"]) == (8, 0.25)
    assert saved["steps"] == document["steps"]


def test_hidden_secrets_stay_and_new_ones_do_not_get_lost(page: Page, site: Server, store: Store) -> None:
    store(webhook=WEBHOOK)
    edit(page)
    page.get_by_role("button", name="YAML").click()
    yaml = page.get_by_label("The template as YAML")
    text = yaml.input_value()
    yaml.fill(text.replace(json.dumps(HIDDEN), "another"))
    page.get_by_role("button", name="Form").click()
    expect(page.get_by_text("would get lost in the form")).to_be_visible()
    yaml.fill(text)
    page.get_by_role("button", name="Form").click()
    page.get_by_label("Orders", exact=True).fill("9")
    save(page)
    assert stored(site)["document"]["webhook"]["headers"] == {"Authorization": HIDDEN}


def test_unsaved_work_is_saved_or_copied_or_dropped_when_asked(page: Page, site: Server, store: Store) -> None:
    go(page, "templates")
    page.get_by_role("link", name="New template").click()
    part(page, "What").get_by_label("Name").fill("edited")
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("dialog").get_by_role("button", name="Stay").click()
    assert page.url.endswith("#/templates?new=1")
    expect(part(page, "What").get_by_label("Name")).to_have_value("edited")
    save(page)
    edit(page)
    page.get_by_label("Orders", exact=True).fill("8")
    expect(page.get_by_role("status").filter(has_text="Valid")).to_be_visible()
    page.get_by_role("button", name="Save as a copy").click()
    page.get_by_role("dialog").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("heading", name="Template edited-copy")).to_be_visible()
    assert (stored(site)["document"]["orders"], stored(site, "edited-copy")["document"]["orders"]) == (1000, 8)
    edit(page)
    page.get_by_label("Orders", exact=True).fill("9")
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    assert stored(site)["document"]["orders"] == 1000


def test_a_run_starts_as_its_template_says(page: Page, site: Server, store: Store) -> None:
    document = store()
    go(page, "templates/edited")
    page.get_by_role("link", name="Run this template").click()
    expect(page.get_by_label("Template", exact=True)).to_have_value("edited")
    expect(page.get_by_text("40 orders a second")).to_be_visible()
    expect(page.get_by_role("list", name="The template's own thresholds")).to_contain_text("hl7_ack.p95 < 60s")
    assert_accessible(page)
    page.get_by_label("And this run's, one a line").fill("orders.completed == 5")
    page.get_by_role("button", name="Start", exact=True).click()
    run = started_run(page, site)
    assert run["document"]["arrival"] == document["arrival"]
    assert run["document"]["thresholds"] == ["hl7_ack.p95 < 60s", "orders.completed == 5"]


def test_the_first_wrong_field_of_a_run_is_gone_to(page: Page, site: Server) -> None:
    go(page, "start?template=metadata-only")
    page.get_by_label("Arrival", exact=True).select_option("profile")
    page.get_by_label("Orders of each hour").fill("1 2 3")
    page.get_by_label("Thresholds, one a line").fill("nonsense")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_label("Orders of each hour")).to_be_focused()
    page.get_by_label("Orders of each hour").fill(", ".join(["3600"] * 24))
    page.get_by_label("Speed").fill("60")
    page.get_by_label("Orders", exact=True).fill("3")
    page.get_by_label("Thresholds, one a line").fill("")
    page.get_by_role("button", name="Start", exact=True).click()
    run = started_run(page, site)
    assert run["document"]["arrival"] == {"model": "profile", "hourly": [3600.0] * 24, "speed": 60.0}
