"""Our decision against KEDA's and the HPA's formula, on the same loads: as fast to drain, and calmer."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from app.domain.scaling import PoolPolicy
from tests.scaling.simulation import Load, Outcome, keda, ours, play

MOST = 20
ASSUMED_RATE = 5.0  # jobs a second, which whoever configures either of them holds a worker to do
TARGET = 60.0
POLICY = PoolPolicy(name="default", min=1, max=MOST, target_seconds=TARGET, jobs_per_second=ASSUMED_RATE)
RECORDED = sorted(Path(__file__).parent.glob("recorded/*.csv"))


def steps(*rates: int, seconds: int = 300) -> list[int]:
    return [rate for rate in rates for _ in range(seconds)]


def sawtooth(top: int, period: int, times: int) -> list[int]:
    return [top * second // period for _ in range(times) for second in range(period)]


def recorded(path: Path) -> Load:
    """Jobs that were published in each second of a run."""
    with path.open(encoding="utf-8") as file:
        return Load(path.stem, [int(row["jobs"]) for row in csv.DictReader(file)])


LOADS = [
    Load("a burst", [5000]),
    Load("bursts", ([3000] + [0] * 239) * 5, turns=5),
    Load("a huge burst", [100_000]),
    Load("steps", steps(4, 40, 80, 20, 4), turns=2),
    Load("a ramp", [second // 10 for second in range(900)]),
    Load("a sawtooth", sawtooth(60, 120, 10), turns=10),
    Load("a slow sawtooth", sawtooth(60, 600, 3), turns=3),
    Load("steady", [12] * 1800),
    Load("slow workers", [5000], rate=1.0),
    Load("fast workers", steps(4, 60, 4), rate=20.0),
    Load("a broker that is away", steps(20, 60, 20), turns=2, unmeasured=range(350, 500)),
    *map(recorded, RECORDED),
]


def both(load: Load) -> tuple[Outcome, Outcome]:
    return play(load, ours(POLICY)), play(load, keda(ASSUMED_RATE * TARGET, 1, MOST))


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_it_drains_as_fast_with_no_more_changes(load: Load) -> None:
    mine, theirs = both(load)
    assert mine.drained_in <= theirs.drained_in, (mine.drained_in, theirs.drained_in)
    # A load that itself comes and goes at the pace of the window costs a growing and a shrinking each time.
    assert mine.changes <= max(theirs.changes, 2 * load.turns + 1), (mine.changes, theirs.changes)
    assert mine.sizes[-1] == 1  # nobody is left behind


def test_over_all_loads_it_makes_fewer_changes_and_drains_faster() -> None:
    pairs = [both(load) for load in LOADS]
    assert sum(mine.changes for mine, _ in pairs) < sum(theirs.changes for _, theirs in pairs)
    assert sum(mine.drained_in for mine, _ in pairs) < sum(theirs.drained_in for _, theirs in pairs)


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_it_does_not_flap(load: Load) -> None:
    """It turns round no oftener than the load does."""
    mine, _ = both(load)
    assert mine.reversals <= 2 * load.turns - 1


def table() -> list[str]:
    rows = []
    for load in LOADS:
        mine, theirs = both(load)
        figures = ("drained_in", "mean_wait", "replica_seconds", "changes")
        cells = [f"{getattr(mine, name):,.0f} / {getattr(theirs, name):,.0f}" for name in figures]
        rows.append(f"| {load.name} | {' | '.join(cells)} |")
    return rows


def test_the_table_of_the_docs_is_this_one() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in page


if __name__ == "__main__":
    print(
        "| Load | Drained in (s) | Mean wait (s) | Worker-seconds | Changes |\n|---|---|---|---|---|",
        *table(),
        sep="\n",
    )
