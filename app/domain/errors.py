"""Every error Yeeter raises on purpose.

YeeterError
 ├── InvalidInput          what the user gave is wrong: names the field, the problem and the cure  (exit 2, HTTP 422)
 ├── NotFound              (exit 1, HTTP 404)
 ├── Conflict              the state does not allow it                                             (exit 1, HTTP 409)
 ├── Unavailable           a service or destination can't be reached: says which and what to do    (exit 1, HTTP 503)
 │    ├── PublishFailed    messages that the broker did not confirm
 │    └── SchemaMissing    a database that has to be upgraded first: waiting for it is no use
 ├── NotAnswerable         a peer that can't be asked what it has: unverifiable, not wrong
 └── StepError             how a step failed, raised by steps and senders
      ├── TemporaryError   a verdict that may be another one later: costs an attempt
      ├── TransportFault   nobody gave a verdict: costs no attempt, and counts against the destination
      │    └── OutcomeUnknown   the peer may have done it: doing it again must be harmless
      └── PermanentError   the same work will never succeed
"""

from __future__ import annotations

from dataclasses import dataclass


class YeeterError(Exception):
    """Root of the tree; ``str(error)`` is one line that a user can act on."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where (``steps.1.queue``), what, and what to do about it."""

    field: str
    problem: str
    cure: str = ""

    def __str__(self) -> str:
        text = f"{self.field}: {self.problem}" if self.field else self.problem
        return f"{text} ({self.cure})" if self.cure else text


class InvalidInput(YeeterError):
    """A template, body, flag or setting that can't be used; carries every problem found, not only the first."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


class NotFound(YeeterError):
    """The thing that was named does not exist."""


class Conflict(YeeterError):
    """The request is well-formed, but the present state does not allow it."""


class Unavailable(YeeterError):
    """A broker, database or destination could not be reached, or refused to talk."""


class PublishFailed(Unavailable):
    """Some messages were not confirmed; they may or may not arrive, and publishing them again is harmless."""

    def __init__(self, text: str, unconfirmed: list[str]) -> None:
        self.unconfirmed = unconfirmed
        super().__init__(text)


class SchemaMissing(Unavailable):
    """The database is there, and its schema is not, or is of another version of the program."""


class NotAnswerable(YeeterError):
    """The peer keeps no record that can be asked (a plain storescp, an integration engine)."""


class StepError(YeeterError):
    """The verdict of a step that did not succeed."""


class TemporaryError(StepError):
    """The destination's verdict, which may be another one later: an AE, a status 0xCxxx, a study not yet indexed."""


class TransportFault(StepError):
    """No verdict: the destination is away, hung up, or has no room now.

    ``misconfigured``: it answered that it will never talk to us as we are set up (association rejected permanently).
    """

    def __init__(self, text: str, *, misconfigured: bool = False) -> None:
        self.misconfigured = misconfigured
        super().__init__(text)


class PermanentError(StepError):
    """It will fail every time: an AR, a data set the archive can't accept, a parameter that makes no sense."""


class OutcomeUnknown(TransportFault):
    """The connection ended before the answer: it may have happened, so only the same identity may be sent again."""
