"""From how a step failed to what follows: the rules of retries. Pure.

TemporaryError                a verdict: it costs an attempt; tried again after the policy's delay, or dead
TransportFault, Unavailable   no verdict: it costs no attempt; tried again soon, or dead when the patience is over
PermanentError, YeeterError   dead at once
MemoryError                   as a verdict: there may be more of it later
anything else                 a defect: dead at once, with its traceback
the end of its process        tried again in another one; dead at the third
"""

from __future__ import annotations

import re
import traceback

from app.domain.errors import PermanentError, TemporaryError, TransportFault, Unavailable, YeeterError
from app.domain.records import record
from app.domain.retry import FAULT_DELAY, MAX_CRASHES, RetryPolicy, rung
from app.domain.work import Death, DestinationReport, RetryCause

MAX_TEXT = 2_000  # characters of an error
MAX_TRACEBACK = 8_000  # characters: its end, which names the place
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+@")


@record(frozen=True, slots=True)
class Again:
    """It is tried again after so many seconds."""

    cause: RetryCause
    delay_seconds: float


def what_follows(error: BaseException, policy: RetryPolicy, attempts: int, waited_seconds: float) -> Again | Death:
    """``attempts``: verdicts before this one; ``waited_seconds``: since the first fault after the last verdict."""
    text = text_of(error)
    match error:
        case TemporaryError() | MemoryError():
            return _after_verdict(text, policy, attempts + 1)
        case TransportFault() | Unavailable():
            return _after_fault(text, policy, waited_seconds)
        case YeeterError():
            return Death("permanent", text)
    return defect(error)


def defect(error: BaseException) -> Death:
    """What nobody foresaw: it is kept with the place in our code."""
    return Death("defect", text_of(error), _trace(error))


def text_of(error: BaseException) -> str:
    """One text for people, bounded, without passwords in URLs."""
    match error:
        case YeeterError():
            text = str(error)
        case MemoryError():
            text = "out of memory: give the workers more, or fewer jobs side by side"
        case _:
            text = f"defect: {error!r}"
    return _without_credentials(text[:MAX_TEXT])


def after_crash(reason: str, crashes: int) -> Again | Death:
    """What follows when a job ended its own process; ``crashes``: how often it did so before."""
    if crashes + 1 >= MAX_CRASHES:
        return Death("crashed", f"{reason}; it ended {crashes + 1} processes of its own")
    return Again("crash", rung(2.0**crashes))


def report_on(key: str, error: BaseException | None, *, is_probe: bool) -> DestinationReport | None:
    """What a step that talks to this destination learnt about it by ending so (None: it succeeded)."""
    match error:
        case TransportFault():
            return DestinationReport(key, text_of(error), error.misconfigured, is_probe)
        case None | TemporaryError() | PermanentError():
            return DestinationReport(key, is_probe=is_probe)
    return None


def _after_verdict(text: str, policy: RetryPolicy, attempts: int) -> Again | Death:
    delay = policy.delay_after(attempts)
    if delay is None:
        return Death("exhausted", f"{text} (attempt {attempts} of {policy.max_attempts})")
    return Again("verdict", delay)


def _after_fault(text: str, policy: RetryPolicy, waited_seconds: float) -> Again | Death:
    if waited_seconds >= policy.patience:
        waited = f"no verdict for {waited_seconds:.0f} s, and the step's patience is {policy.patience:g} s"
        return Death("exhausted", f"{text} ({waited})")
    return Again("transport", FAULT_DELAY)


def _trace(error: BaseException) -> str:
    text = _without_credentials("".join(traceback.format_exception(error)))
    return text if len(text) <= MAX_TRACEBACK else f"...\n{text[-MAX_TRACEBACK:]}"


def _without_credentials(text: str) -> str:
    return _CREDENTIALS.sub("***@", text)
