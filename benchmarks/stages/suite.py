"""``python -m benchmarks stages``: each stage of an order's way alone, ours beside its peers, in turns."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from app.cli.output import note
from benchmarks.peers.turns import Contender, compare
from benchmarks.stages import encode, exchange, orthanc, publish, render, store
from tests.services.rabbitmq import running_rabbitmq


def contenders(stack: ExitStack, amqp_url: str, seconds: float) -> Iterator[Contender]:
    """Of every stage; what they need ends with ``stack``."""
    yield from render.contenders(seconds)
    yield from exchange.contenders(stack, seconds)
    yield from publish.contenders(stack, amqp_url, seconds)
    yield from encode.contenders(seconds)
    yield from store.contenders(stack, seconds)
    yield from orthanc.contenders(stack, seconds)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks stages", description=__doc__)
    made.add_argument("--seconds", type=float, default=1.0, help="that a turn of one contender takes, about")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--json", action="store_true", help="whole rows, with the rate of each round")
    return made


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    with ExitStack() as stack:
        url = stack.enter_context(running_rabbitmq()).url()
        compare([*contenders(stack, url, options.seconds)], options.rounds, note, options.json)
    return 0
