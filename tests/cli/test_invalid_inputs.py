"""What is wrong is said in one line for each problem, with exit code 2, and never by a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import RealProgram, Yeeter

NAMES_ITS_FLAG = [
    (("--hl7", "nowhere"), "--hl7: 'nowhere' is not HOST:PORT (write for example localhost:2575)"),
    (("--hl7", "host:99999"), "--hl7: 'host:99999' is not HOST:PORT (write for example localhost:2575)"),
    (("--pacs", "host:104"), "--pacs: 'host:104' is not AET@HOST:PORT (write for example ORTHANC@localhost:4242)"),
    (("--pacs", "A@host"), "--pacs: 'host' is not HOST:PORT (write for example localhost:2575)"),
    (
        ("--threshold", "fast enough"),
        "--threshold: 'fast enough' is not a threshold (write for example hl7_ack.p95 < 200ms)",
    ),
    (("--set", "pixels"), "--set: 'pixels' is not NAME=VALUE (write for example study.pixels=tiny or site=north)"),
    (
        ("--set", "orders=[1"),
        "--set orders: not valid YAML: line 1, column 3: expected ',' or ']', but got '<stream end>'",
    ),
    (("--label", "=x"), "--label: '=x' is not NAME=VALUE (write for example study.pixels=tiny or site=north)"),
    (
        ("--base-time", "tomorrow"),
        "--base-time: 'tomorrow' is not a date and time (write for example 2026-03-01T08:00:00)",
    ),
    (
        ("--base-time", "2026-03-01T08:00:00Z"),
        "--base-time: '2026-03-01T08:00:00Z' has a time zone "
        "(leave it out: it is local time of the simulated department)",
    ),
    (("--duration", "0s"), "--duration: '0s' is out of range (write for example 90s, 10m, 1h30m or 30d)"),
    (("--duration", "soon"), "--duration: 'soon' is not a duration (write for example 90s, 10m, 1h30m or 30d)"),
    (("--no-wait",), "--no-wait: without a server, this process is the run (add --server URL)"),
    (
        ("--summary", "absent/summary.json"),
        "--summary: absent/summary.json: there is no folder absent (name a file that can be written)",
    ),
    (("--junit", "."), "--junit: .: is a folder (name a file that can be written)"),
    (
        ("--server", "http://127.0.0.1:1", "--no-wait", "--junit", "run.xml"),
        "--junit: with --no-wait there is no result to write (leave one of the two out)",
    ),
    (("--server", "ftp://x", "--workers", "2"), "--workers: a server's workers are its own (leave it out)"),
    (("--server", "nowhere"), "--server: 'nowhere' is not an address (e.g. http://127.0.0.1:8000)"),
]
NAMES_THE_TEMPLATES_FIELD = [
    (("--orders", "99999999"), "orders: input should be less than or equal to 33554432"),
    (("--run-key", "short"), "run_key: 'short' is not a run key (8 characters of 0-9 and A-Z without I, L, O, U)"),
    (("--rate", "-1"), "arrival.rate: input should be greater than 0"),
    (("--set", "study.pixel=tiny"), "study.pixel: extra inputs are not permitted (remove it, or check its spelling)"),
    (("--set", "steps.9.queue=x"), "steps.9.queue: there is no item '9' (count from 0 to 2)"),
    (
        ("--set", "destinations.dicom.aet=\\"),
        "destinations.dicom.aet: string should match pattern '^[ -\\[\\]-~]*[!-\\[\\]-~][ -\\[\\]-~]*$'",
    ),
]


@pytest.mark.parametrize(("flags", "error"), NAMES_ITS_FLAG + NAMES_THE_TEMPLATES_FIELD)
def test_a_bad_flag_of_run(yeeter: Yeeter, flags: tuple[str, ...], error: str) -> None:
    result = yeeter("run", "metadata-only", *flags)
    assert (result.code, result.out) == (2, "")
    assert error in result.errors


def test_all_bad_flags_are_told_at_once(yeeter: Yeeter) -> None:
    result = yeeter("run", "absent.yaml", "--hl7", "x", "--pacs", "y", "--threshold", "z", "--label", "w")
    assert result.code == 2
    assert [line.partition(":")[0] for line in result.errors] == [
        "--hl7",
        "--pacs",
        "--threshold",
        "--label",
        "absent.yaml",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name: [", "not valid YAML: line 1, column 8: expected the node content, but found '<stream end>'"),
        ("- 1\n- 2\n", "holds no mapping (begin with name: and steps:)"),
        ("", "holds no mapping (begin with name: and steps:)"),
        ("[" * 5000, "nested too deeply"),
        ("since: 2026-13-01", "not valid YAML: month must be in 1..12"),
    ],
)
def test_a_file_that_holds_no_template(yeeter: Yeeter, tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    for command in (("run", "bad.yaml"), ("templates", "add", "bad.yaml")):
        result = yeeter(*command)
        assert (result.code, result.errors) == (2, [f"bad.yaml: {error}"])


@pytest.mark.parametrize(
    ("content", "error"),
    [(None, "no such file"), (b"\xff\xfe", "not UTF-8 text: byte 0"), ("folder", "can't be read: Is a directory")],
)
def test_a_file_that_cannot_be_read(yeeter: Yeeter, tmp_path: Path, content: bytes | str | None, error: str) -> None:
    path = tmp_path / "mine.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    assert yeeter("templates", "validate", "mine.yaml").errors == [f"mine.yaml: {error}"]


def test_every_problem_of_a_template_is_named(yeeter: Yeeter, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nsteps:\n- type: GENERATE_HL7\n- type: TELEPORT\n- type: WAIT\n  parameters: {seconds: soon}\n"
    )
    for command in (("run", "mine.yaml"), ("templates", "validate", "mine.yaml"), ("templates", "add", "mine.yaml")):
        result = yeeter(*command)
        assert result.code == 2
        assert [line.split(" (")[0] for line in result.errors] == [
            "steps.1.type: unknown step type 'TELEPORT'",
            "steps.2.parameters.seconds: input should be a valid number, unable to parse string as a number",
        ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("run",), "Missing argument 'TEMPLATE' (see yeeter run --help)"),
        (("fly",), "No such command 'fly' (see yeeter --help)"),
        (("runs", "list", "--fast"), "No such option: --fast "),
        (("run", "ct-chest", "--orders", "0"), "Invalid value for '--orders'"),
        (("run", "ct-chest", "--orders", "many"), "Invalid value for '--orders'"),
        (("run", "ct-chest", "--workers", "65"), "Invalid value for '--workers'"),
        (("runs", "list", "--state", "TIRED"), "Invalid value for '--state': 'TIRED' is not one of"),
        (("orders", "show", "A", "first"), "Invalid value for 'N'"),
        (("receive", "mllp", "--drop", "-1"), "Invalid value for '--drop'"),
        (("serve", "--port", "70000"), "Invalid value for '--port'"),
        (("bench", "pipeline", "--orders", "1,x"), "--orders: '1,x' is not a list of order counts"),
        (("bench", "pipeline"), "RABBITMQ_URL: launches are measured over a broker"),
        (("bench", "matrix"), "RABBITMQ_URL: launches are measured over a broker"),
        (("bench", "matrix", "--orders", "0"), "--orders: '0' is not a list of order counts"),
        (
            ("bench", "matrix", "--workers", "1,65"),
            "--workers: '1,65' is not a list of worker counts (write for example 1,2,4, each from 1 to 64)",
        ),
        (("bench", "matrix", "--prefetch", "many"), "--prefetch: 'many' is not a list of message counts"),
        (("bench", "matrix", "--concurrency", "2,,8"), "--concurrency: '2,,8' is not a list of job counts"),
        (("bench", "matrix", "--repeat", "0"), "Invalid value for '--repeat'"),
        (("bench", "matrix", "--csv", "absent/rows.csv"), "--csv: absent/rows.csv: there is no folder absent"),
        (("bench", "hl7", "--hl7", "nowhere"), "--hl7: 'nowhere' is not HOST:PORT"),
        (("bench", "hl7", "--messages", "0"), "Invalid value for '--messages'"),
        (("worker",), "RABBITMQ_URL: a worker needs a broker"),
        (("doctor", "--hl7", "x"), "--hl7: 'x' is not HOST:PORT"),
        (("templates", "steps", "add", "ct-chest", "WAIT", "seconds"), "'seconds' is not KEY=VALUE"),
    ],
)
def test_a_bad_command_line(yeeter: Yeeter, arguments: tuple[str, ...], error: str) -> None:
    result = yeeter(*arguments)
    assert (result.code, result.out) == (2, "")
    assert len(result.errors) == len(result.err.splitlines()) == 1
    assert result.errors[0].startswith(error)


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        ("YEETER_PORT", "http", "YEETER_PORT: "),
        ("YEETER_CONFIG", "absent.yaml", "YEETER_CONFIG: absent.yaml: no such file"),
        ("YEETER_STEP_TYPES", "A=b:C", 'settings: error parsing value for field "step_types"'),
        ("YEETER_STEP_TYPES", '["A=b:C"]', "YEETER_STEP_TYPES: can't load 'A=b:C': No module named 'b'"),
        ("DATABASE_URL", "somewhere", "DATABASE_URL: "),
        ("RABBITMQ_URL", "somewhere", "RABBITMQ_URL: "),
        ("YEETER_TLS_CA_FILE", "absent.pem", "YEETER_TLS_CA_FILE, "),
    ],
)
def test_a_bad_setting(yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, error: str) -> None:
    monkeypatch.setenv(variable, value)
    result = yeeter("templates", "list")
    assert result.code == 2
    assert result.errors[0].startswith(error)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("templates", "show", "absent"), "no template 'absent'; `yeeter templates list` shows them"),
        (("templates", "steps", "set", "ct-chest", "9", "name=x"), "there is no step 9; ct-chest has steps 0 to 2"),
        (("runs", "show", "absent"), "no run 'absent'; `yeeter runs list` shows them"),
        (("orders", "list", "absent"), "no run 'absent'; `yeeter runs list` shows them"),
        (("events", "absent"), "no run 'absent'; `yeeter runs list` shows them"),
        (("runs", "list", "--server", "http://127.0.0.1:1"), "the API at http://127.0.0.1:1 can't be reached: "),
        (("receive", "mllp", "--ledger", "absent/ledger"), "absent/ledger: No such file or directory"),
    ],
)
def test_what_is_not_there_is_an_error_of_its_own(yeeter: Yeeter, arguments: tuple[str, ...], error: str) -> None:
    result = yeeter(*arguments)
    assert (result.code, result.out) == (1, "")
    assert result.errors[0].startswith(error)


def test_the_real_program_says_it_the_same_way(program: RealProgram) -> None:
    result = program("run", "absent", "--set", "study.pixels=tiny")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: no template 'absent'; `yeeter templates list` shows them\n"
