"""The collector of cycles: what is there is not looked at again, and what comes has no cycles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.util.garbage import YOUNG

COUNTING = """
looks = []
gc.callbacks.append(lambda phase, info: looks.append(info["generation"]) if phase == "start" else None)
records = [dict(number=number, parts=[number]) for number in range(30_000)]
print(len(looks))
"""
SELDOM = "from app.util.garbage import collect_seldom; collect_seldom()"
PROGRAM = """
import gc
from app.bootstrap import bootstrap
from app.settings import load_settings
with bootstrap(load_settings()):
    print(gc.get_threshold()[0], gc.get_freeze_count())
"""


def test_records_by_the_thousand_are_hardly_looked_at() -> None:
    as_python_sets_it = int(_printed("import gc" + COUNTING))
    seldom = int(_printed(f"import gc; {SELDOM}{COUNTING}"))
    assert seldom * 10 <= as_python_sets_it


def test_every_program_with_adapters_does_so(tmp_path: Path) -> None:
    threshold, frozen = map(int, _printed(PROGRAM, YEETER_HOME=str(tmp_path)).split())
    assert threshold == YOUNG
    assert frozen > 10_000  # all that the libraries have made


def _printed(code: str, **variables: str) -> str:
    environment = os.environ | variables
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, check=True
    ).stdout.decode()
