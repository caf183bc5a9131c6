"""A destination that stays away: studies stop waiting for it, and a cancelled run's stop at once."""

from __future__ import annotations

import threading
import time

import pytest

from app.adapters.senders.dimse import DimseStudySender
from app.domain.destination import DicomDestination
from app.domain.errors import TemporaryError
from tests.contract.instances import instance
from tests.services.processes import free_port


def nobody() -> DicomDestination:
    return DicomDestination(aet="NOBODY", host="127.0.0.1", port=free_port())


def test_after_the_outage_limit_a_study_makes_one_attempt() -> None:
    sender, destination = DimseStudySender(outage_limit=0.3), nobody()
    with pytest.raises(TemporaryError, match="given up after"):
        sender.store(destination, [instance()], time.monotonic() + 30)
    with pytest.raises(TemporaryError, match="given up after 1 attempts"):
        sender.store(destination, [instance()], time.monotonic() + 30)
    sender.close()


def test_the_outage_of_one_destination_is_not_anothers() -> None:
    sender = DimseStudySender(outage_limit=0.3)
    with pytest.raises(TemporaryError):
        sender.store(nobody(), [instance()], time.monotonic() + 30)
    with pytest.raises(TemporaryError) as caught:
        sender.store(nobody(), [instance()], time.monotonic() + 30)
    assert "given up after 1 attempts" not in str(caught.value)
    sender.close()


def test_a_study_stops_waiting_when_it_is_told_to() -> None:
    sender, stop = DimseStudySender(), threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(TemporaryError, match="Connection refused"):
        sender.store(nobody(), [instance()], time.monotonic() + 30, stop.is_set)
    assert stop.is_set()
    sender.close()
