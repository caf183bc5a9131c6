"""``python -m benchmarks.batching [--jobs N]``: jobs a second by how many are written in one transaction.

The rows of the way of a job, as producer, relay and worker write them, over a PostgreSQL of its own and an SQLite:
begun, acknowledged with their steps, events and outbox rows, published, claimed, finished. Group sizes take turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from app.adapters.database import SqlDatabase
from app.cli.output import write_table
from tests.contract.database_fixtures import Play
from tests.services.postgres import running_postgres

GROUPS = (1, 10, 50, 200)
REPEATS = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batching")
    parser.add_argument("--jobs", type=int, default=1000)
    jobs = parser.parse_args().jobs
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(running_postgres())
        urls = {
            "PostgreSQL": stack.enter_context(postgres.new_database()),
            "SQLite": f"sqlite:///{folder / 'yeeter.db'}",
        }
        databases = {name: SqlDatabase(url) for name, url in urls.items()}
        for database in databases.values():
            database.upgrade()
            _write(database, 50, 10)  # what is made once is made before
        for _ in range(REPEATS):
            for group in GROUPS:
                for name, database in databases.items():
                    rates[name, group].append(jobs / _write(database, jobs, group))
    rows = [
        {"group": group, **{f"{name} jobs/s": round(statistics.median(rates[name, group])) for name in urls}}
        for group in GROUPS
    ]
    write_table(rows, [(name, name.upper()) for name in rows[0]])
    return 0


def _write(database: SqlDatabase, jobs: int, group: int) -> float:
    """Seconds that so many jobs take from their first row to their last, in groups."""
    play = Play(database)
    begun = time.monotonic()
    for first in range(0, jobs, group):
        numbers = range(first, min(first + group, jobs))
        play.acknowledge(*numbers)
        play.publish(group)
        claims = play.claim(*numbers)
        play.finish(*(play.finished(number, claim) for number, claim in zip(numbers, claims, strict=True)))
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
