"""``python -m app.producer RUN_ID``: run one run that is in the database."""

from __future__ import annotations

import signal
import sys
import threading
import time

import structlog

from app.bootstrap import bootstrap
from app.domain.errors import Conflict, Unavailable, YeeterError
from app.ports import Database
from app.producer.session import run_session
from app.runs.produce import request_cancel
from app.settings import load_settings
from app.util.logs import configure_logs

log = structlog.get_logger()

RETRY = 1.0  # seconds, when the database is away


def main(run_id: str) -> int:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    with bootstrap(settings) as bundle:
        with bundle.database.transaction() as work:
            run = work.runs.get(run_id)
        _cancel_on_signal(bundle.database, run_id)
        try:
            ended = run_session(bundle, run)
        except YeeterError as error:
            log.error("the run could not go on", run_id=run_id, reason=str(error))
            return 1
        log.info("run ended", run_id=run_id, run_key=ended.run_key, state=ended.state.value, reason=ended.reason)
    return 0


def _cancel_on_signal(database: Database, run_id: str) -> None:
    """SIGTERM and SIGINT cancel the run.

    A handler runs between any two instructions of the main thread, which may be in the middle of a transaction: the
    handler only tells a thread, which then waits for its turn.
    """
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())

    def cancel() -> None:
        told.wait()
        while True:
            try:
                request_cancel(database, run_id)
                return
            except Conflict:  # it has ended by itself
                return
            except Unavailable as error:
                log.warning("the cancel waits for the database", run_id=run_id, reason=str(error))
                time.sleep(RETRY)

    threading.Thread(target=cancel, name="cancel", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
