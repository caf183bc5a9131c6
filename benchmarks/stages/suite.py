"""``python -m benchmarks stages``: each stage of an order's way alone, ours beside its peers, in turns."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from app.cli.output import note
from benchmarks.peers.turns import Contender, compare
from benchmarks.stages import encode, exchange, publish, render, store


def contenders(stack: ExitStack, seconds: float) -> Iterator[Contender]:
    """Of every stage; what they need ends with ``stack``."""
    yield from render.contenders(seconds)
    yield from exchange.contenders(stack, seconds)
    yield from publish.contenders(stack, seconds)
    yield from encode.contenders(seconds)
    yield from store.contenders(stack, seconds)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks stages", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="that a turn of one contender takes, about")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="whole rows, with the rate of each round")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        compare([*contenders(stack, options.seconds)], options.rounds, note, options.json)
    return 0
