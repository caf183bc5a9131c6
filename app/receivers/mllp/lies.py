"""A receiver that lies: so that somebody can see whether a run against it is found out.

Every third order, from the second on, is lied about until all lies are told; the kinds take turns.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, get_args

import structlog

from app.hl7.parsing import ParsedMessage

Lie = Literal["drop", "duplicate", "swap_patient", "reject", "error"]

_FIRST, _STEP = 2, 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Lies:
    """How many orders to lie about in which way."""

    drop: int = 0  # acknowledged, but not kept
    duplicate: int = 0  # kept twice
    swap_patient: int = 0  # kept under another patient
    reject: int = 0  # answered AR, however often it is sent
    error: int = 0  # answered AE the first time


class Liar:
    """Decides which orders are lied about, by the order in which they first come."""

    def __init__(self, lies: Lies) -> None:
        kinds = ([kind] * getattr(lies, kind) for kind in get_args(Lie))
        self._untold: deque[Lie] = deque(lie for turn in zip_longest(*kinds) for lie in turn if lie)
        self._told: dict[str, Lie] = {}  # by control ID
        self._until_next = _FIRST
        self._before: ParsedMessage | None = None  # the order before this one

    def knows(self, control_id: str) -> bool:
        """Whether a lie was told about this order."""
        return control_id in self._told

    def recall(self, order: ParsedMessage, lie: Lie | None) -> None:
        """Take note of what an earlier receiver decided about an order, as :meth:`lie_about` would have done."""
        if order.control_id in self._told:
            return
        if lie is None:
            self._until_next -= 1
            self._before = order
            return
        self._until_next = _STEP
        self._told[order.control_id] = lie
        with suppress(ValueError):  # that one was told to lie more than this one is
            self._untold.remove(lie)

    def lie_about(self, order: ParsedMessage) -> Lie | None:
        """The lie for an order that is not kept yet, or None for the truth. Sent again, it gets the same lie again."""
        told = self._told.get(order.control_id)
        if told is not None:
            return None if told == "error" else told
        self._until_next -= 1
        lie = self._untold[0] if self._until_next <= 0 and self._untold else None
        if lie is None or (lie == "swap_patient" and not self._has_other_patient(order)):
            self._before = order
            return None
        self._until_next = _STEP
        self._told[order.control_id] = self._untold.popleft()
        log.info("lie told", lie=lie, control_id=order.control_id, accession=order.accession)
        return lie

    def with_other_patient(self, order: ParsedMessage) -> ParsedMessage:
        """The order under the patient of the one before it."""
        assert self._before is not None  # or the lie would not have been told
        return order._replace(patient_id=self._before.patient_id, patient_name=self._before.patient_name)

    def _has_other_patient(self, order: ParsedMessage) -> bool:
        return self._before is not None and self._before.patient_id != order.patient_id
