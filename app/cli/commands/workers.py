"""``yeeter workers``: who is at work, how many there are to be, and why."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from app.cli import options
from app.cli.backend import open_backend
from app.cli.output import note, write_json, write_table

workers = typer.Typer(no_args_is_help=True)

_POOLS = (
    ("name", "POOL"),
    ("queues", "QUEUES"),
    ("replicas", "WORKERS"),
    ("range", "MIN-MAX"),
    ("wanted", "WANTED"),
    ("pinned", "PINNED"),
    ("reason", "REASON"),
)
_WORKERS = (
    ("name", "WORKER"),
    ("queues", "QUEUES"),
    ("running", "RUNNING"),
    ("jobs_done", "DONE"),
    ("jobs_per_second", "JOBS/S"),
    ("cpu", "CPU"),
    ("state", "STATE"),
    ("seen_at", "SEEN"),
)
_DECISIONS = (
    ("at", "AT"),
    ("pool", "POOL"),
    ("kind", "KIND"),
    ("before", "BEFORE"),
    ("after", "AFTER"),
    ("wanted", "WANTED"),
    ("applied", "DONE"),
    ("reason", "REASON"),
)

Pool = Annotated[str, typer.Option("--pool", help="Name of the worker pool.")]


@workers.command("list")
def list_(server: options.Server = None, json: options.Json = False) -> None:
    """Show the worker pools with their last decision, and the workers that are alive."""
    with open_backend(server) as backend:
        document = backend.workers()
    if json:
        write_json(document)
        return
    write_table([_pool(pool) for pool in document["pools"]], _POOLS)
    sys.stdout.write("\n")
    write_table([_worker(worker) for worker in document["workers"]], _WORKERS)


@workers.command()
def scale(
    replicas: Annotated[int, typer.Argument(min=0, max=10_000, metavar="N", show_default=False)],
    pool: Pool = "default",
    minutes: Annotated[
        float | None, typer.Option("--for", min=0.1, metavar="MINUTES", help="How long it counts.", show_default=False)
    ] = None,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Give a pool so many workers, whatever its load, until that expires (YEETER_AUTOSCALER_PIN_SECONDS)."""
    _scale(replicas, pool, minutes, server, json)


@workers.command()
def auto(pool: Pool = "default", server: options.Server = None, json: options.Json = False) -> None:
    """Have a pool sized by its load again."""
    _scale(None, pool, None, server, json)


@workers.command()
def decisions(
    pool: Annotated[str | None, typer.Option("--pool", help="Name of a worker pool. Default: all.")] = None,
    limit: options.Limit = 20,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show what the autoscaler decided, the newest first."""
    with open_backend(server) as backend:
        rows = backend.scaling_decisions(pool, limit)
    if json:
        write_json(rows)
    else:
        write_table(rows, _DECISIONS)


def _scale(replicas: int | None, pool: str, minutes: float | None, server: str | None, json: bool) -> None:
    with open_backend(server) as backend:
        document = backend.scale_workers(pool, replicas, minutes * 60 if minutes else None)
    if json:
        write_json(document)
        return
    pin = document["pin"]
    if pin is None:
        note(f"pool {pool} is sized by its load")
    else:
        note(f"pool {pool} is set to {pin['replicas']} workers until {pin['until']}")


def _pool(pool: dict[str, Any]) -> dict[str, Any]:
    decision, pin = pool["decision"] or {}, pool["pin"]
    return pool | {
        "queues": ", ".join(pool["queues"]),
        "replicas": decision.get("after"),
        "range": f"{pool['min']}-{pool['max']}",
        "wanted": decision.get("wanted"),
        "pinned": f"{pin['replicas']} by {pin['by']}" if pin else None,
        "reason": decision.get("reason", "no autoscaler has looked at it yet"),
    }


def _worker(worker: dict[str, Any]) -> dict[str, Any]:
    state = "draining" if worker["draining"] else "working"
    return worker | {"queues": ", ".join(worker["queues"]), "state": state, "cpu": f"{worker['cpu']:.0%}"}
