"""The command line's parts, each for itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.main import get_command

from app.api.routes.runs import RunBody
from app.cli import main, output
from app.cli.commands.receive import receive
from app.cli.commands.settings import settings_page
from app.cli.over_api import start_over_api
from app.cli.request import RunFlags, run_request
from app.cli.steps import add_step, remove_step, set_step, step_values
from app.domain.errors import InvalidInput, NotFound
from app.receivers.dicom import DicomReceiverOptions
from app.receivers.mllp import MllpReceiverOptions
from app.runs.start import RunRequest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("alembic", "fastapi", "httpx", "hl7apy", "numpy", "pika", "pydantic_settings", "pydicom", "sqlalchemy", "yaml")


# --- the program ---


def test_help_needs_none_of_what_takes_long_to_import() -> None:
    code = f"import sys, app.cli.program; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        *([command] for command in ("run", "serve", "worker", "doctor", "events", "settings", "version")),
        *([group] for group in ("templates", "runs", "orders", "receive", "db", "bench")),
        ["templates", "steps"],
        ["receive", "dicom"],
    ],
)
def test_every_command_has_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--help"]) == 0
    assert "Usage: yeeter" in capsys.readouterr().out


def test_version_names_what_talks_to_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "yeeter",
        "python",
        "pika",
        "pydicom",
        "pynetdicom",
        "sqlalchemy",
    ]


@pytest.mark.parametrize(("name", "options"), [("mllp", MllpReceiverOptions), ("dicom", DicomReceiverOptions)])
def test_a_receiver_has_a_flag_for_each_of_its_options(name: str, options: type) -> None:
    command = get_command(receive).commands[name]  # type: ignore[attr-defined]
    flags = {parameter.name: parameter.default for parameter in command.params if parameter.name != "help"}
    assert flags == {field.name: field.default for field in fields(options)}


def test_the_settings_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == settings_page(), "run: yeeter settings --markdown > docs/configuration.md"


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://user:secret@host/")
    for flag in ((), ("--json",)):
        assert main(["settings", *flag]) == 0
    assert "secret" not in capsys.readouterr().out


# --- what is written ---


def test_text_of_others_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.write("a\x1b[2Jb\x9b\x07 [bold]c[/bold] :smile:")
    output.write_table([{"x": "\x1b]0;title\x07"}], (("x", "X"),))
    assert capsys.readouterr().out == "a\\x1b[2Jb\\x9b\\x07 [bold]c[/bold] :smile:\nX\n\\x1b]0;title\\x07\n"


def test_tables_align_wide_characters_and_cut_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "山田^太郎", "count": 7, "text": "x" * 300}, {"name": "Doe", "count": 12, "text": None}]
    output.write_table(rows, (("name", "NAME"), ("count", "COUNT"), ("text", "TEXT")), indent=1)
    assert capsys.readouterr().out.splitlines() == [
        " NAME       COUNT  TEXT",
        " 山田^太郎      7  " + "x" * 300,
        " Doe           12",
    ]


# --- flags ---


def test_flags_become_a_request() -> None:
    request = run_request(
        RunFlags(
            template="ct-chest",
            orders=5,
            base_time="2026-03-01T08:00",
            hl7="[::1]:2575",
            pacs="PACS@host:104",
            rate=2.5,
            duration="1m30s",
            connections=3,
            thresholds=["hl7_ack.p95 < 1s"],
            settings=["study.pixels=tiny", "modalities={CT: 1}", "description=a=b", "hl7.message=null"],
            labels=["a=b=c", "d="],
        )
    )
    assert request.template == "ct-chest"
    assert request.base_time == datetime(2026, 3, 1, 8)  # noqa: DTZ001 - local time of the simulated department
    assert request.hl7 == {"host": "::1", "port": 2575, "connections": 3}
    assert request.dicom == {"aet": "PACS", "host": "host", "port": 104}
    assert request.overrides == {
        "arrival": {"model": "constant", "rate": 2.5},
        "study.pixels": "tiny",
        "modalities": {"CT": 1},
        "description": "a=b",
        "hl7.message": None,
    }
    assert request.duration == 90.0
    assert request.labels == {"a": "b=c", "d": ""}


def test_a_request_is_the_same_behind_the_api() -> None:
    request = RunRequest(
        template="ct-chest",
        orders=5,
        duration=90.0,
        seed=7,
        run_key="7K3QX0AB",
        base_time=datetime(2026, 3, 1, 8),  # noqa: DTZ001 - local time of the simulated department
        hl7="host:2575",
        dicom="PACS@host:104",
        thresholds=("hl7_ack.p95 < 1s",),
        overrides={"study.pixels": "tiny"},
        labels={"a": "b"},
    )
    assert all(getattr(request, field.name) for field in fields(RunRequest))
    bodies: list[dict[str, Any]] = []
    backend = SimpleNamespace(start_run=lambda body: bodies.append(body) or body)
    start_over_api(backend, request, None)  # type: ignore[arg-type]
    assert RunBody.model_validate_json(json.dumps(bodies[0])).request() == request


def test_a_template_may_come_from_a_file(tmp_path: Path) -> None:
    for name, text in (("a.yaml", "name: x"), ("b.json", '{"name": "x"}'), ("c", "name: x")):
        (tmp_path / name).write_text(text)
        assert run_request(RunFlags(template=str(tmp_path / name))).template == {"name": "x"}


# --- steps ---

DOCUMENT: dict[str, Any] = {"name": "t", "steps": [{"type": "A"}, {"type": "B", "retry": {"factor": 2}}]}


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (lambda: add_step(DOCUMENT, "C", {"name": "c"}), [*DOCUMENT["steps"], {"type": "C", "name": "c"}]),
        (lambda: add_step(DOCUMENT, "C", {}, 1), [{"type": "A"}, {"type": "C"}, DOCUMENT["steps"][1]]),
        (lambda: set_step(DOCUMENT, 0, {"a.b.c": 1}), [{"type": "A", "a": {"b": {"c": 1}}}, DOCUMENT["steps"][1]]),
        (lambda: set_step(DOCUMENT, 1, {"retry.factor": None}), [{"type": "A"}, {"type": "B", "retry": {}}]),
        (lambda: remove_step(DOCUMENT, 0), [DOCUMENT["steps"][1]]),
    ],
)
def test_changing_steps_leaves_the_document_as_it_was(change: Callable[[], Any], steps: list[Any]) -> None:
    before = repr(DOCUMENT)
    assert change() == {"name": "t", "steps": steps}
    assert repr(DOCUMENT) == before


def test_steps_that_are_not_there() -> None:
    for change in (lambda: set_step(DOCUMENT, 2, {}), lambda: remove_step(DOCUMENT, 2)):
        with pytest.raises(NotFound, match="there is no step 2; t has steps 0 to 1"):
            change()


def test_every_bad_pair_is_told() -> None:
    with pytest.raises(InvalidInput) as caught:
        step_values(["a", "=b", "c=[", "d=1"])
    assert [problem.field for problem in caught.value.problems] == ["", "", "c"]
