"""``python -m app.autoscaler [--once]``: the same as ``yeeter autoscaler``."""

from __future__ import annotations

import argparse
import sys

from app.autoscaler.program import run_autoscaler
from app.domain.errors import YeeterError
from app.settings import load_settings
from app.util.logs import configure_logs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m app.autoscaler", description="Size worker pools by their queues.")
    parser.add_argument("--once", action="store_true", help="look once, act, and end: for a CronJob")
    once = parser.parse_args().once
    try:
        settings = load_settings()
        configure_logs(settings.log_level, settings.log_format)
        return run_autoscaler(settings, once=once)
    except (YeeterError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
