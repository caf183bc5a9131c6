"""The command line. ``yeeter`` (console script), ``python -m app`` and ``python yeeter_cli.py`` are the same program.

Data goes to stdout, everything else to stderr. Exit codes: 0 pass, 1 error or FAILED, 2 usage, 99 thresholds not met,
130 interrupted. Modules load what they need when a command runs, so that ``yeeter --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.util.garbage import collect_seldom


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` unless given); the exit code."""
    collect_seldom()  # before there is much to look at
    from app.cli.program import run_program

    return run_program(argv)
