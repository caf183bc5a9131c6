"""Contenders that do the same, ours and its peers, measured in turns; and the table of what came out.

A machine that others use has slow minutes: rates of one round are compared with each other, never with another round's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from app.cli.output import write_json, write_table

OURS = "ours"
SHOWN = ("stage", "against", "who", "per_second", "times_best_peer")


@dataclass(frozen=True)
class Contender:
    """``measure`` does the work once, and returns how much of it was done a second.

    ``against`` names whom the work is done with, and its settings.
    """

    stage: str
    against: str
    who: str
    measure: Callable[[], float]

    @property
    def is_ours(self) -> bool:
        return self.who.startswith(OURS)

    @property
    def contest(self) -> tuple[str, str]:
        """Contenders with the same stage and settings are compared."""
        return self.stage, self.against


Rates = dict[Contender, list[float]]


def take_turns(contenders: Sequence[Contender], rounds: int, say: Callable[[str], None]) -> Rates:
    """The rates of each contender, one a round; every other round goes backwards, so that nobody is always first."""
    rates: Rates = {contender: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            rate = contender.measure()
            rates[contender].append(rate)
            say(f"[{number + 1}/{rounds}] {contender.stage}, {contender.against}: {contender.who} {rate:,.1f}/s")
    return rates


def rows_of(rates: Rates) -> Iterator[dict[str, Any]]:
    """A row a contender: its median rate, and what it is to the best peer of its contest, round by round (median)."""
    for contender, measured in rates.items():
        peers = [other for other in rates if other.contest == contender.contest and not other.is_ours]
        best = max(peers, key=lambda peer: median(rates[peer]))
        pairs = zip(measured, rates[best], strict=True)
        yield {
            "stage": contender.stage,
            "against": contender.against,
            "who": contender.who,
            "per_second": round(median(measured), 1),
            "times_best_peer": round(median(own / its for own, its in pairs), 2),
            "rates": [round(rate, 1) for rate in measured],
        }


def compare(contenders: Sequence[Contender], rounds: int, say: Callable[[str], None], as_json: bool) -> None:
    """Measure, and write the table; ``as_json``: whole rows, with the rate of each round."""
    rows = [*rows_of(take_turns(contenders, rounds, say))]
    if as_json:
        write_json(rows)
    else:
        write_table(rows, [(name, name.upper().replace("_", " ")) for name in SHOWN])
