"""Every error Yeeter raises on purpose.

YeeterError
 ├── InvalidInput          what the user gave is wrong: names the field, the problem and the cure  (exit 2, HTTP 422)
 ├── NotFound              (exit 1, HTTP 404)
 ├── Conflict              the state does not allow it                                             (exit 1, HTTP 409)
 ├── Unavailable           a service or destination can't be reached: says which and what to do    (exit 1, HTTP 503)
 │    └── PublishFailed    messages that the broker did not confirm
 ├── NotAnswerable         a peer that can't be asked what it has: unverifiable, not wrong
 └── StepError             a step's verdict, raised by steps and senders
      ├── TemporaryError   the same work may succeed later
      ├── PermanentError   the same work will never succeed
      └── OutcomeUnknown   the peer may or may not have done it: doing it again must be harmless
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


class NotAnswerable(YeeterError):
    """The peer keeps no record that can be asked (a plain storescp, an integration engine)."""


class StepError(YeeterError):
    """The verdict of a step that did not succeed."""


class TemporaryError(StepError):
    """It failed now and may succeed later: a refusal for lack of resources, an AE, a destination that is down."""


class PermanentError(StepError):
    """It will fail every time: an AR, a data set the archive can't accept, a parameter that makes no sense."""


class OutcomeUnknown(TemporaryError):
    """The connection ended before the answer: it may have happened, so only the same identity may be sent again."""
