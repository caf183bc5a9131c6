"""``python -m app.worker [--queues a,b]``: the same as ``yeeter worker``."""

from __future__ import annotations

import argparse
import sys

from app.domain.errors import YeeterError
from app.settings import load_settings
from app.util.child_programs import END_WITH_INPUT
from app.util.logs import configure_logs
from app.worker.program import run_worker


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m app.worker", description="Take jobs from RabbitMQ until stopped.")
    parser.add_argument("--queues", default="", help="queue names and commas; default stands for RABBITMQ_ORDER_QUEUE")
    parser.add_argument(END_WITH_INPUT, action="store_true", help="drain when standard input ends, as for SIGTERM")
    options = parser.parse_args()
    names = [name.strip() for name in options.queues.split(",") if name.strip()]
    try:
        settings = load_settings()
        configure_logs(settings.log_level, settings.log_format)
        return run_worker(settings, names, end_with_input=options.end_with_input)
    except (YeeterError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
