"""The exit codes of the command line."""

from __future__ import annotations

PASS = 0
ERROR = 1  # also a run that FAILED
USAGE = 2
THRESHOLDS_NOT_MET = 99
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
