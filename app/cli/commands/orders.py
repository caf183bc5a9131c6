"""``yeeter orders``: the orders of a run, and everything about one."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import options
from app.cli.backend import Document, open_backend
from app.cli.output import write, write_fields, write_json, write_table
from app.domain.run import OrderState

orders = typer.Typer(no_args_is_help=True)

_LIST = (
    ("number", "ORDER"),
    ("state", "STATE"),
    ("accession", "ACCESSION"),
    ("patient_id", "PATIENT ID"),
    ("patient_name", "PATIENT"),
    ("modality", "MODALITY"),
    ("instances_stored", "STORED"),
    ("ack_code", "ACK"),
    ("reason", "REASON"),
)
_STEPS = (
    ("step_index", "STEP"),
    ("type", "TYPE"),
    ("state", "STATE"),
    ("starts", "STARTS"),
    ("worker", "WORKER"),
    ("finished_at", "FINISHED"),
    ("error", "ERROR"),
)
_EVENTS = (("at", "AT"), ("kind", "KIND"), ("step_index", "STEP"), ("data", "DATA"))
_NESTED = ("hl7", "acknowledgement", "study", "steps", "jobs", "events")


@orders.command("list")
def list_(
    run: options.RunName,
    state: Annotated[OrderState | None, typer.Option(case_sensitive=False, help="Only orders in this state.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Accession number, patient ID, or part of the patient's name.")
    ] = None,
    limit: options.Limit = 100,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show a run's orders by number."""
    with open_backend(server) as backend:
        rows = backend.orders(run, state, search, limit)
    if json:
        write_json(rows)
    else:
        write_table(rows, _LIST)


@orders.command()
def show(
    run: options.RunName,
    number: Annotated[int, typer.Argument(metavar="N", min=0, help="Order number.", show_default=False)],
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show one order: its message, acknowledgement, study, steps and events."""
    with open_backend(server) as backend:
        order = backend.order(run, number)
    if json:
        write_json(order)
    else:
        _write_order(order)


def _write_order(order: Document) -> None:
    write_fields({name: value for name, value in order.items() if name not in _NESTED})
    _heading("HL7 message")
    _write_message(order["hl7"]["text"])
    if order["acknowledgement"]:
        _heading("Acknowledgement")
        _write_message(order["acknowledgement"]["text"])
    _heading("Study")
    study = order["study"]
    write_fields({name: value for name, value in study.items() if name != "series"}, indent=2)
    write_table(
        study["series"], (("series_uid", "SERIES"), ("description", "DESCRIPTION"), ("instances", "INSTANCES")), 2
    )
    _heading("Steps")
    write_table(order["steps"], _STEPS, indent=2)
    _heading("Events")
    write_table(order["events"], _EVENTS, indent=2)


def _heading(text: str) -> None:
    write()
    write(text, style="bold")


def _write_message(text: str) -> None:
    for segment in text.splitlines():
        write(f"  {segment}")
