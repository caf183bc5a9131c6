"""Templates and their steps from the command line."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.cli.conftest import Yeeter

SHIPPED = ["ct-chest", "metadata-only", "mixed-department", "mr-brain", "split-queues", "xr-chest"]
MINE = "name: mine\norders: 3\nsteps:\n- type: GENERATE_HL7\n- type: WAIT\n  parameters: {seconds: 1}\n"


def test_the_shipped_templates_are_there_from_the_start(yeeter: Yeeter) -> None:
    assert [row["name"] for row in yeeter("templates", "list", "--json").json] == SHIPPED
    table = yeeter("templates", "list").out.splitlines()
    assert table[0].split() == ["NAME", "VERSION", "SHIPPED", "ORDERS", "STEPS"]
    assert [line.split()[0] for line in table[1:]] == SHIPPED


def test_a_template_from_its_addition_to_its_removal(yeeter: Yeeter, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    added = yeeter("templates", "add", "mine.yaml", "--json").json
    assert (added["name"], added["version"], added["shipped"]) == ("mine", 1, False)

    again = yeeter("templates", "add", "mine.yaml")
    assert (again.code, again.out) == (1, "")
    assert again.errors[0].startswith("a template named 'mine' exists")

    replaced = yeeter("templates", "replace", "mine", "-", "--json", stdin=MINE.replace("orders: 3", "orders: 4")).json
    assert (replaced["id"], replaced["version"], replaced["document"]["orders"]) == (added["id"], 2, 4)

    copied = yeeter("templates", "copy", "mine", "yours")
    assert (copied.code, copied.err) == (0, "stored yours version 1\n")
    assert yeeter("templates", "show", "yours", "--json").json["document"]["orders"] == 4

    assert yeeter("templates", "remove", "mine").code == 0
    assert yeeter("templates", "show", "mine").code == 1


def test_what_show_writes_can_be_edited_and_stored(yeeter: Yeeter) -> None:
    text = yeeter("templates", "show", "ct-chest").out
    assert yaml.safe_load(text)["name"] == "ct-chest"
    assert yeeter("templates", "replace", "ct-chest", "-", stdin=text.replace("orders: 1000", "orders: 7")).code == 0
    assert yeeter("templates", "show", "ct-chest", "--json").json["document"]["orders"] == 7


def test_validation_stores_nothing(yeeter: Yeeter) -> None:
    result = yeeter("templates", "validate", "-", "--json", stdin=MINE)
    assert (result.code, result.json["valid"], result.json["queues"]) == (0, True, ["yeeter.simulation.orders"])
    assert "valid" in yeeter("templates", "validate", "-", stdin=MINE).out
    assert yeeter("templates", "show", "mine").code == 1


def test_steps_are_added_changed_and_removed(yeeter: Yeeter) -> None:
    def steps() -> list[tuple[object, ...]]:
        rows = yeeter("templates", "steps", "list", "metadata-only", "--json").json
        return [(row["position"], row["type"], row["name"]) for row in rows]

    shipped = [(0, "GENERATE_HL7", ""), (1, "GENERATE_DICOM", ""), (2, "SEND_DICOM", "")]
    assert steps() == shipped

    wait = ("WAIT", "parameters.seconds=2", "name=pause", "queue=waiting")
    added = yeeter("templates", "steps", "add", "metadata-only", *wait, "--at", "1")
    assert (added.code, added.err) == (0, "stored metadata-only version 2\n")
    assert steps() == [shipped[0], (1, "WAIT", "pause"), (2, *shipped[1][1:]), (3, *shipped[2][1:])]

    changes = ("parameters.seconds=3", "retry.max_attempts=5", "queue=null")
    changed = yeeter("templates", "steps", "set", "metadata-only", "1", *changes, "--json").json["document"]["steps"][1]
    assert (changed["parameters"], changed["retry"]["max_attempts"]) == ({"seconds": 3}, 5)
    assert "queue" not in changed

    wrong = yeeter("templates", "steps", "set", "metadata-only", "1", "retry.max_attempts=0")
    assert wrong.errors == ["steps.1.retry.max_attempts: input should be greater than or equal to 1"]

    assert yeeter("templates", "steps", "remove", "metadata-only", "1").code == 0
    assert steps() == shipped
