"""An order receiver that goes away in mid-run: since when, and when it is to be asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from app.domain.destination import Hl7Destination
from app.ports import OrderOutcome
from app.runs.producing.lease import Lease
from app.runs.producing.notes import Notes

_TOPIC = "receiver"


class ReceiverWatch:
    """Whether the receiver of a run's orders is held to be away.

    The question is an order: the sender tries to connect for the one it is given, over TLS where that is asked for.
    """

    def __init__(
        self,
        destination: Hl7Destination,
        lease: Lease,
        notes: Notes,
        probe_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._destination = destination
        self._lease = lease
        self._notes = notes
        self._probe_seconds = probe_seconds
        self._clock = clock
        self._since = 0.0
        self._next_probe = 0.0
        self._probe: int | None = None
        self._unreached: set[int] = set()
        self.is_away = False
        self.reason = ""

    @property
    def is_given_up(self) -> bool:
        """Whether it has been away for longer than its patience."""
        return self.is_away and self._clock() - self._since >= self._destination.patience

    def question(self, pending: Sequence[int]) -> int | None:
        """The order to ask with, once its time has come: one for which a new connection is needed."""
        if self._probe is not None or self._clock() < self._next_probe:
            return None
        return next((number for number in pending if number in self._unreached), None)

    def asked_with(self, number: int) -> None:
        """This order is on its way to the sender."""
        self._probe = number

    def could_not_be_reached(self, outcomes: Sequence[OrderOutcome]) -> None:
        """No connection could be made for these."""
        now = self._clock()
        if not self.is_away:
            self.is_away, self._since = True, now
        self._next_probe = now + self._probe_seconds
        self._unreached |= {outcome.number for outcome in outcomes}
        self._forget_question(self._unreached)
        self.reason = outcomes[0].reason
        self._report(self.reason)
        patience = f"the run waits up to {self._destination.patience:g} s for it"
        self._notes.begin(_TOPIC, f"the order receiver {self._destination} is away ({self.reason}): {patience}")

    def heard_of(self, outcomes: Sequence[OrderOutcome]) -> None:
        """These were transmitted: if the question is among them, the receiver is there again."""
        if self._forget_question({outcome.number for outcome in outcomes}):
            self.is_away = False
            self._unreached.clear()
            self._report("")
            self._notes.end(_TOPIC, f"the order receiver {self._destination} is there again")

    def taken_back(self, numbers: Sequence[int]) -> None:
        """These will not be sent now: if the question is among them, it was never asked."""
        self._forget_question(set(numbers))

    def wait_anew(self) -> None:
        """Nobody has asked for a while: patience begins now."""
        self._since = self._clock()
        self._next_probe = self._since

    def _forget_question(self, numbers: Set[int]) -> bool:
        """Whether the question is one of these; it is none any more then."""
        if self._probe is None or self._probe not in numbers:
            return False
        self._probe = None
        return True

    def _report(self, fault: str) -> None:
        key = self._destination.key
        self._lease.write(lambda work: work.destinations.report(key, fault))
