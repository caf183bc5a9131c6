"""A matrix of launches: which there are and in which order, what is kept of them, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.adapters.database import SqlDatabase
from app.bench.combinations import Axes, Combination
from app.bench.figures import LaunchFigures, emission_rate
from app.bench.keeping import Destinations, Keeper, document_of, flat
from app.bench.launch import problem_of
from app.bench.matrix import MatrixRow, keep_rows, run_matrix
from app.cli.bench_rows import exit_code, write_rows
from app.domain.errors import InvalidInput, Problem, Unavailable
from app.domain.event import RUN_STATE, STEP_SUCCEEDED, Event, RecordedEvent
from app.domain.run import RunState
from tests.contract.database_fixtures import new_run

AXES = Axes(["a", "b"], [10, 20], [1], [32], [2, 8])
ONE = Combination("a", 10, 1, 32, 2)
MACHINE = {"cores": 2}


def figures(**values: object) -> LaunchFigures:
    given = dict.fromkeys(LaunchFigures.__dataclass_fields__, 0) | {"run_key": "K", "status": "COMPLETED"}
    return LaunchFigures(**given | {"latency_seconds": {"publish": {"p95": 0.5}}} | values)  # type: ignore[arg-type]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqlDatabase]:
    database = SqlDatabase(f"sqlite:///{tmp_path / 'yeeter.db'}")
    database.upgrade()
    yield database
    database.close()


class Launches:
    """Remembers them; what each comes to is ``ends``, and a fine end when there is no more."""

    def __init__(self, *ends: str | BaseException) -> None:
        self.seen: list[Combination] = []
        self._ends = list(ends)

    def __call__(self, combination: Combination) -> tuple[str, LaunchFigures]:
        self.seen.append(combination)
        end = self._ends.pop(0) if self._ends else ""
        if isinstance(end, BaseException):
            raise end
        return end, figures()


# --- which launches ---


def test_every_combination_is_launched() -> None:
    said = [(each.template, each.orders, each.concurrency) for each in AXES.combinations()]
    assert said == [(t, n, c) for t in ("a", "b") for n in (10, 20) for c in (2, 8)]


def test_repetitions_are_interleaved() -> None:
    launches = Axes(["a"], [10], [1, 2], [32], [4], repeat=3).combinations()
    assert [(each.turn, each.workers) for each in launches] == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]


def test_the_command_of_a_row_launches_it_alone() -> None:
    named = Axes(["a"], [10, 20], [1], [32], [4], destinations=Destinations(pacs="A@h:104")).combinations()[1]
    assert named.command == (
        "yeeter bench matrix a --orders 20 --workers 1 --prefetch 32 --concurrency 4 --pacs A@h:104"
    )
    assert (named.as_parameters()["hl7"], named.as_parameters()["pacs"]) == ("built-in", "A@h:104")


def test_workers_get_the_combinations_settings() -> None:
    environment = Combination("a", 10, 3, 200, 8).shape.environment
    assert (environment["YEETER_WORKER_PREFETCH"], environment["YEETER_WORKER_CONCURRENCY"]) == ("200", "8")


# --- how they end ---


def test_a_launch_that_fails_is_told_and_the_others_follow() -> None:
    said: list[str] = []
    launches = Launches("", "it ended COMPLETED_WITH_ERRORS", Unavailable("the broker is away"))
    rows = list(run_matrix(AXES.combinations(), launches, said.append))
    assert launches.seen == AXES.combinations()
    assert [row.problem for row in rows[:4]] == ["", "it ended COMPLETED_WITH_ERRORS", "the broker is away", ""]
    assert rows[1].figures is not None and rows[2].figures is None
    assert said[4:6] == [
        "[3/8] a: 20 orders, 1 workers, prefetch 32, concurrency 2",
        "[3/8] a: 20 orders, 1 workers, prefetch 32, concurrency 2: FAILED: the broker is away",
    ]


def test_what_can_not_be_launched_at_all_ends_it() -> None:
    with pytest.raises(InvalidInput):
        list(run_matrix([ONE, ONE], Launches(InvalidInput(Problem("steps", "none"))), lambda text: None))


@pytest.mark.parametrize(
    ("problems", "interrupted", "code"),
    [(["", ""], False, 0), ([], False, 0), (["", "2 missing"], False, 99), (["", "2 missing"], True, 130)],
)
def test_exit_codes(problems: list[str], interrupted: bool, code: int) -> None:
    assert exit_code(problems, interrupted) == code


@pytest.mark.parametrize(
    ("state", "missing", "problem"),
    [
        (RunState.COMPLETED, 0, ""),
        (RunState.COMPLETED, 3, "3 missing"),
        (RunState.COMPLETED_WITH_ERRORS, 0, "it ended COMPLETED_WITH_ERRORS (no room)"),
        (RunState.CANCELLED, 1, "it ended CANCELLED (no room), 1 missing"),
    ],
)
def test_a_run_counts_when_it_is_complete_and_nothing_is_missing(state: RunState, missing: int, problem: str) -> None:
    run = new_run(state=state, reason="no room", summary={"reconciliation": {"missing": missing}})
    assert problem_of(run) == problem


# --- what is kept ---


def test_rows_are_stored_as_they_come_even_when_the_rest_is_interrupted(database: SqlDatabase) -> None:
    rows = run_matrix(AXES.combinations(), Launches("", "2 missing", KeyboardInterrupt()), lambda text: None)
    kept, interrupted = keep_rows(rows, Keeper(database, "matrix", MACHINE))
    assert (len(kept), interrupted) == (2, True)
    with database.transaction() as work:
        second, first = work.benchmarks.latest("matrix", 10)
    assert (first.benchmark.machine, first.benchmark.figures["problem"]) == (MACHINE, "")
    assert second.benchmark.parameters == kept[1].combination.as_parameters()
    assert second.benchmark.figures == kept[1].as_figures()
    assert second.benchmark.command == kept[1].combination.command
    assert document_of(second)["figures"]["problem"] == "2 missing"


def test_a_file_for_spreadsheets_has_every_column_and_no_formula(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = MatrixRow(Combination("=cmd()", 10, 1, 32, 2), "-1 missing", None)
    rows = [failed.as_row(), MatrixRow(ONE, "", figures()).as_row()]
    write_rows(rows, [], tmp_path / "rows.csv", json=False)
    heading, first, second = (tmp_path / "rows.csv").read_text().splitlines()
    assert heading.split(",") == list(flat(rows[1]))
    assert "latency_seconds.publish.p95" in heading
    assert first.startswith("'=cmd(),10,1,32,2,1,built-in,built-in,'-1 missing,")
    assert second.endswith(",0.5")


# --- figures ---


class Feed:
    """A run whose orders are acknowledged at these seconds."""

    def __init__(self, *seconds: float) -> None:
        begun = datetime(2026, 1, 5, tzinfo=UTC)
        queued = Event("r", STEP_SUCCEEDED, 1, 1, 1, 0, {"type": "SEND_DICOM"})
        happened = [
            (-5.0, Event("r", RUN_STATE, data={"state": "PENDING"})),
            (0.0, Event("r", RUN_STATE, data={"state": "RUNNING"})),
            *((at, Event("r", STEP_SUCCEEDED, 1, 0, 1, 0, {"type": "GENERATE_HL7"})) for at in seconds),
            (100.0, queued),
        ]
        self._events = [RecordedEvent("c", begun + timedelta(seconds=at), event) for at, event in happened]

    def read(self, run_id: str, after: str | None, limit: int) -> tuple[list[RecordedEvent], str | None]:
        return self._events, "c"


def test_emission_ends_with_the_last_acknowledgement() -> None:
    assert emission_rate(Feed(0.5, 1.0, 2.0), new_run()) == 1.5  # type: ignore[arg-type]
    assert emission_rate(Feed(), new_run()) is None  # type: ignore[arg-type]
