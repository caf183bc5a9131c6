"""``python -m app.producer RUN_ID``: run one run that is in the database.

SIGTERM and SIGINT have it leave the run to the next producer: nothing new is begun, the lease is released, and the run
stays as it is. (Whoever wants it to end cancels it.)
"""

from __future__ import annotations

import signal
import sys
import threading

import structlog

from app.bootstrap import bootstrap
from app.domain.errors import Conflict, Unavailable, YeeterError
from app.producer.session import run_session
from app.runs.producing.exits import ProducerExit
from app.runs.producing.lease import HandedOver
from app.settings import load_settings
from app.util.logs import configure_logs

log = structlog.get_logger()


def main(run_id: str) -> ProducerExit:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    leaving = _leave_on_signal()
    with bootstrap(settings) as bundle:
        try:
            bundle.database.check()
            with bundle.database.transaction() as work:
                run = work.runs.get(run_id)
            ended = run_session(bundle, run, leaving=leaving)
        except HandedOver:
            log.info("the run was left to the next producer", run_id=run_id)
            return ProducerExit.HANDED_OVER
        except Conflict as error:
            log.warning("the run is another producer's, or has ended", run_id=run_id, reason=str(error))
            return ProducerExit.OVERTAKEN
        except Unavailable as error:
            log.warning("the run can't go on now", run_id=run_id, reason=str(error))
            return ProducerExit.UNAVAILABLE
        except YeeterError as error:
            log.error("the run could not go on", run_id=run_id, reason=str(error))
            return ProducerExit.FAILED
        log.info("run ended", run_id=run_id, run_key=ended.run_key, state=ended.state.value, reason=ended.reason)
    return ProducerExit.ENDED


def _leave_on_signal() -> threading.Event:
    """An event that the signals set.

    The main thread only asks whether it is set, which takes no lock: the handler runs between any two of its
    instructions, and could find one taken.
    """
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leaving.set())
    return leaving


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
