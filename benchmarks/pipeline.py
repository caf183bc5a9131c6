"""``yeeter bench pipeline`` against a RabbitMQ, a PostgreSQL and an Orthanc that are started for it and end with it.

.venv/bin/python -m benchmarks.pipeline --orders 1000,5000 --workers 2
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

from tests.services.orthanc import running_orthanc
from tests.services.postgres import running_postgres
from tests.services.rabbitmq import running_rabbitmq


def main() -> int:
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        rabbitmq = stack.enter_context(running_rabbitmq(management=True))
        orthanc = stack.enter_context(running_orthanc())
        environment = {
            **os.environ,
            "DATABASE_URL": stack.enter_context(postgres.new_database()),
            "RABBITMQ_URL": rabbitmq.url(stack.enter_context(rabbitmq.new_virtual_host())),
        }
        command = [sys.executable, "yeeter_cli.py", "bench", "pipeline", "--pacs", orthanc.address, *sys.argv[1:]]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
