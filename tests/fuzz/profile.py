"""How many examples, and which."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("YEETER_FUZZ_EXAMPLES", "0"))  # 0: the short form


def examples(short: int) -> settings:
    """The settings of a test that has ``short`` examples in the short form. No example has a deadline."""
    return settings(
        max_examples=max(short, EXAMPLES),
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
