"""The collector of reference cycles, set for programs like ours.

What is there after the start stays: some 100,000 objects, most of them of libraries. What comes then is records by the
thousand a second, which have no cycles and go by themselves. As Python sets it, the collector looks at the young ones
after every 700, and at everything again and again: a seventh of a producer's time.
"""

from __future__ import annotations

import gc

YOUNG = 20_000  # objects more than there were, before the young ones are looked at
YOUNG_ROUNDS, MIDDLE_ROUNDS = 10, 10  # looks at a generation before the next older one is looked at


def collect_seldom() -> None:
    """What is there now is not looked at again, nor given back if it is a cycle, and what comes only now and then.

    For the start of a program: once before its libraries are loaded, and once after.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, YOUNG_ROUNDS, MIDDLE_ROUNDS)
