"""Dead letters on the command line: looked at, tried again and discarded; over a server it is the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import RealProgram, Yeeter
from tests.steps.picky import REGISTERED, picky_template

ROOT = Path(__file__).resolve().parents[2]
REFUSED = {"2": "permanent", "5": "temporary", "7": "defect", "9": "permanent"}


def refuse(folder: Path, refused: dict[str, str]) -> None:
    (folder / "refused.json").write_text(json.dumps(refused))


def prepare(folder: Path) -> Path:
    """The template's file."""
    refuse(folder, REFUSED)
    file = folder / "picky.json"
    file.write_text(json.dumps(picky_template(folder / "refused.json", orders=12)))
    return file


@pytest.fixture
def picky(yeeter: Yeeter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yeeter:
    monkeypatch.setenv("YEETER_STEP_TYPES", REGISTERED)
    return yeeter


def test_dead_jobs_are_tried_again_until_the_run_is_whole(picky: Yeeter, tmp_path: Path) -> None:
    ended = picky("run", prepare(tmp_path), "--run-key", "7K3QX0AB", "--json")
    assert (ended.code, ended.json["status"], ended.json["epoch"]) == (99, "COMPLETED_WITH_ERRORS", 0)
    assert ended.json["orders"]["failed"] == ended.json["jobs"]["dead_lettered"] == 4

    letters = {letter["order_number"]: letter for letter in picky("dead-letters", "list", "--json").json}
    assert {number: letter["kind"] for number, letter in letters.items()} == {
        2: "permanent",
        5: "exhausted",
        7: "defect",
        9: "permanent",
    }
    check_letters(picky, letters)

    # The cause is removed for all but the one with the defect: three go on, and it stays dead.
    refuse(tmp_path, {"7": "defect"})
    again = picky("dead-letters", "retry", "--search", "to my taste", "--yes", "--json")
    assert again.code == 0, again.err
    (run,) = again.json["runs"]
    assert (run["run_key"], run["jobs"], run["reopened"], run["epoch"]) == ("7K3QX0AB", 3, True, 1)
    assert "`yeeter runs resume 7K3QX0AB`" in again.err
    assert picky("dead-letters", "retry", letters[2]["id"], "--json").json == {"jobs": 0, "runs": [], "refused": []}
    figures = picky("runs", "metrics", "7K3QX0AB", "--json").json
    assert (figures["orders"]["completed"], figures["orders"]["failed"]) == (8, 1)
    resumed = picky("runs", "resume", "7K3QX0AB", "--json")
    assert (resumed.code, resumed.json["status"], resumed.json["epoch"]) == (99, "COMPLETED_WITH_ERRORS", 1)
    assert (resumed.json["orders"]["completed"], resumed.json["orders"]["failed"]) == (11, 1)

    refuse(tmp_path, {})
    assert picky("dead-letters", "retry", letters[7]["id"]).code == 0
    whole = picky("runs", "resume", "7K3QX0AB", "--json")
    assert (whole.code, whole.json["status"], whole.json["verdict"], whole.json["epoch"]) == (0, "COMPLETED", "pass", 2)
    assert whole.json["orders"]["completed"] == whole.json["reconciliation"]["checked"] == 12
    assert whole.json["orders"]["failed"] == whole.json["reconciliation"]["missing"] == 0
    assert Counter(step["state"] for step in picky("orders", "show", "7K3QX0AB", "7", "--json").json["steps"]) == {
        "SUCCEEDED": 4
    }
    done = picky("dead-letters", "list", "--json").json
    assert {letter["state"] for letter in done} == {"RETRIED"}
    refused = picky("dead-letters", "discard", letters[7]["id"])
    assert (refused.code, "its job was tried again" in refused.err) == (1, True)


def check_letters(picky: Yeeter, letters: dict[int, dict[str, Any]]) -> None:
    exhausted = picky("dead-letters", "show", letters[5]["id"], "--json").json
    assert [entry["outcome"] for entry in exhausted["history"]] == ["retried", "failed"]
    first, last = exhausted["history"]
    assert (first["cause"], first["delay_seconds"], first["reason"]) == ("verdict", 1.0, "it is not to my taste today")
    assert "attempt 2 of 2" in last["reason"] and first["worker"] and first["ended_at"] < last["at"]
    assert json.loads(exhausted["body"])["data"]["order_number"] == 5
    assert "ZeroDivisionError" in picky("dead-letters", "show", letters[7]["id"], "--json").json["traceback"]
    shown = picky("dead-letters", "show", letters[7]["id"]).out
    assert "Traceback" in shown and "no taste at all" in shown and letters[7]["worker"] in shown

    numbers = [
        [letter["order_number"] for letter in picky("dead-letters", "list", *filters, "--json").json]
        for filters in (
            ("--kind", "permanent"),
            ("--search", "no taste"),
            ("--run", "7K3QX0AB", "--limit", "1"),
            ("--state", "discarded"),
            ("--step", "SEND_DICOM"),
        )
    ]
    assert [sorted(found) for found in numbers[:2]] == [[2, 9], [7]]
    assert (len(numbers[2]), *numbers[3:]) == (1, [], [])
    statistics = picky("dead-letters", "stats", "--json").json
    assert (statistics["open"], statistics["retried"], statistics["discarded"]) == (4, 0, 0)
    assert {(group["kind"], group["count"]) for group in statistics["groups"]} == {
        ("permanent", 2),
        ("exhausted", 1),
        ("defect", 1),
    }
    assert {group["step_type"] for group in statistics["groups"]} == {"PICKY"}
    (line,) = [line for line in picky("doctor").out.splitlines() if "dead letters" in line]
    assert line.startswith("ok") and "4 are open" in line


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("retry",), 2, "ID: no dead letter is named (give ids, a filter such as --run, or --all)"),
        (("discard", "3", "--all"), 2, "ID: ids and a filter are given (give one of the two)"),
        (("retry", "--all"), 2, "--yes: nobody is there to be asked: retry 0 dead letters? (add --yes)"),
        (("retry", "--run", "NOSUCHRN", "--yes"), 1, "no run 'NOSUCHRN'"),
        (("retry", "1", "4"), 1, "no dead letter 1"),
        (("discard", "4"), 1, "no dead letter 4"),
        (("show", "4"), 1, "no dead letter 4"),
        (("list", "--kind", "odd"), 2, "Invalid value for '--kind'"),
        (("retry", "0"), 2, "Invalid value for '[ID]...'"),
    ],
)
def test_what_can_not_be_done_is_said(yeeter: Yeeter, arguments: tuple[str, ...], code: int, text: str) -> None:
    result = yeeter("dead-letters", *arguments)
    assert result.code == code
    assert result.errors[0].startswith(text)


def test_there_is_nothing_on_a_new_machine(yeeter: Yeeter) -> None:
    assert yeeter("dead-letters", "list", "--json").json == []
    assert yeeter("dead-letters", "retry", "--all", "--yes", "--json").json == {"jobs": 0, "runs": [], "refused": []}
    assert yeeter("dead-letters", "discard", "--all", "--yes", "--json").json == {"letters": 0, "refused": []}
    health = yeeter("destinations", "list", "--json").json
    assert health == {
        "ready": True,
        "detail": "none is known to be away",
        "healthy": True,
        "destinations": [],
        "parked": [],
    }


def test_embedded_queues_are_known_but_nobody_can_look_into_them(yeeter: Yeeter) -> None:
    queues = {queue["name"]: queue for queue in yeeter("queues", "list", "--json").json}
    assert "split-queues" in queues["send_dicom"]["used_by"]
    assert {"yeeter.simulation.orders", "yeeter.dead"} <= queues.keys()
    assert {queue["ready"] for queue in queues.values()} == {None}
    assert all("own process" in queue["note"] for queue in queues.values())
    refused = yeeter("queues", "purge", "send_dicom", "--jobs", "park", "--yes")
    assert (refused.code, "pause or cancel the run instead" in refused.errors[0]) == (1, True)


# --- over a server ---


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """A server's address; its database is the one of its folder."""
    settings = {"YEETER_STEP_TYPES": REGISTERED, "PYTHONPATH": str(ROOT)}
    with RealProgram(folder).start("serve", "--port", "0", **settings) as program:
        yield program.wait_for_line(r"serving.*url=(\S+)")[1]


@pytest.fixture
def both(folder: Path, server: str, picky: Yeeter, monkeypatch: pytest.MonkeyPatch) -> Yeeter:
    """Commands in the server's folder."""
    monkeypatch.chdir(folder)
    return picky


def test_a_server_goes_on_by_itself_with_a_run_that_is_reopened(server: str, both: Yeeter, folder: Path) -> None:
    at = ("--json", "--server", server)
    assert both("run", prepare(folder), "--run-key", "8K3QX0AB", *at).code == 99
    for command in (
        ("dead-letters", "list"),
        ("dead-letters", "list", "--kind", "permanent", "--run", "8K3QX0AB"),
        ("dead-letters", "stats"),
        ("dead-letters", "show", 1),
        ("queues", "list"),
        ("destinations", "list"),
    ):
        assert both(*command, "--json").json == both(*command, *at).json, command
    (defect,) = both("dead-letters", "list", "--kind", "defect", *at).json
    assert both("dead-letters", "discard", defect["id"], *at).json == {"letters": 1, "refused": []}

    refuse(folder, {})
    again = both("dead-letters", "retry", "--run", "8K3QX0AB", "--yes", *at)
    assert (again.code, again.json["jobs"], again.err) == (0, 3, "")
    both("events", "8K3QX0AB", "--follow", *at)
    figures = both("runs", "metrics", "8K3QX0AB", *at).json
    assert (figures["status"], figures["epoch"], figures["orders"]["completed"]) == ("COMPLETED_WITH_ERRORS", 1, 11)
    assert figures["reconciliation"]["checked"] == figures["reconciliation"]["expected"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("dead-letters", "show", "4711"),
        ("dead-letters", "retry", "4711"),
        ("dead-letters", "discard", "4711"),
        ("dead-letters", "retry", "--run", "NOSUCHRN", "--yes"),
        ("queues", "purge", "nowhere", "--jobs", "cancel", "--yes"),
        ("queues", "release", "nowhere"),
    ],
)
def test_errors_are_those_of_the_local_database(server: str, both: Yeeter, arguments: tuple[str, ...]) -> None:
    local, remote = both(*arguments), both(*arguments, "--server", server)
    assert local.code == remote.code == 1
    assert local.errors == remote.errors != []
