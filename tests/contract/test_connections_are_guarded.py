"""What is connected to is what was resolved and judged: no adapter looks a name up by itself."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.adapters.archive.dicom_query import DicomArchiveQuery
from app.adapters.archive.mllp_ledger import MllpOrderLedger
from app.adapters.archive.second_opinion import answers_others
from app.adapters.senders.dimse import DimseStudySender
from app.adapters.senders.mllp import MllpOrderSender
from app.bootstrap import bootstrap
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.errors import StepError, YeeterError
from app.ports import ArchiveQuery, OrderLedger, OrderSender, StudySender
from app.runs.producing.preflight import check_hl7
from app.settings import load_settings
from app.util.addresses import Found, Resolve
from tests.contract.instances import instance
from tests.contract.mllp_orders import order

NAME = "pacs.invalid"  # no name server has it (RFC 6761 section 6.4)


@dataclass
class Listener:
    """A port that hangs up on everybody and counts them."""

    host: str
    port: int = 0
    came: int = 0

    def __enter__(self) -> Listener:
        self._server = socket.create_server((self.host, 0))
        self.port = self._server.getsockname()[1]
        self._last = -1
        self._thread = threading.Thread(target=self._hang_up, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Everybody who came before is counted by now: connections are accepted in their order."""
        with socket.socket() as last:
            last.bind((self.host, 0))
            self._last = last.getsockname()[1]
            last.connect((self.host, self.port))
            self._thread.join()
        self._server.close()

    def _hang_up(self) -> None:
        while True:
            connection, peer = self._server.accept()
            connection.close()
            if peer[1] == self._last:
                return
            self.came += 1


# Each connects to the host, and returns what it says of it.


def send_order(sender: OrderSender) -> str:
    with closing(sender):
        sender.submit(order())
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for outcome in sender.completed(1.0):
                return outcome.reason
    raise AssertionError("no outcome")


def store(sender: StudySender, destination: DicomDestination) -> str:
    # One attempt: over after it.
    with closing(sender), pytest.raises(StepError) as caught:
        sender.store(destination, [instance()], time.monotonic() + 60, lambda: True)
    return str(caught.value)


def echo(archive: ArchiveQuery, destination: DicomDestination) -> str:
    with pytest.raises(YeeterError) as caught:
        archive.echo(destination)
    return str(caught.value)


def ask_ledger(ledger: OrderLedger, destination: Hl7Destination) -> str:
    with pytest.raises(YeeterError) as caught:
        list(ledger.received(destination, "7K3QX0AB"))
    return str(caught.value)


def preflight(destination: Hl7Destination, resolve: Resolve) -> str:
    return "; ".join(check_hl7(destination, resolve))


def hl7(host: str, port: int) -> Hl7Destination:
    return Hl7Destination(host=host, port=port, attempts=1)


def dicom(host: str, port: int) -> DicomDestination:
    return DicomDestination(aet="PACS", host=host, port=port)


@pytest.mark.parametrize(
    "connect",
    [
        pytest.param(lambda port, to: send_order(MllpOrderSender(hl7(NAME, port), resolve=to)), id="order"),
        pytest.param(lambda port, to: store(DimseStudySender(resolve=to), dicom(NAME, port)), id="store"),
        pytest.param(lambda port, to: echo(DicomArchiveQuery(resolve=to), dicom(NAME, port)), id="echo"),
        pytest.param(lambda port, to: answers_others(dicom(NAME, port), None, to), id="second opinion"),
        pytest.param(lambda port, to: ask_ledger(MllpOrderLedger(resolve=to), hl7(NAME, port)), id="ledger"),
        pytest.param(lambda port, to: preflight(hl7(NAME, port), to), id="preflight"),
    ],
)
def test_the_addresses_that_were_judged_are_connected_to(connect: Callable[[int, Resolve], object]) -> None:
    def resolve(host: str, port: int) -> list[Found]:
        assert host == NAME
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with Listener("127.0.0.1") as listener:
        connect(listener.port, resolve)
    assert listener.came


@pytest.mark.parametrize("kind", ["order", "store", "echo", "ledger", "preflight"])
def test_once_destinations_are_listed_no_process_connects_to_another(kind: str, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, allowed_destinations=["localhost:2575"])
    with Listener("127.0.0.2") as listener, bootstrap(settings) as bundle:
        order_to, store_to = hl7("127.0.0.2", listener.port), dicom("127.0.0.2", listener.port)
        said = {
            "order": lambda: send_order(bundle.open_sender(order_to)),
            "store": lambda: store(bundle.sender, store_to),
            "echo": lambda: echo(bundle.archive, store_to),
            "ledger": lambda: ask_ledger(bundle.ledger, order_to),
            "preflight": lambda: preflight(order_to, bundle.producer_parts().resolve),
        }[kind]()
    assert "not an allowed destination; YEETER_ALLOWED_DESTINATIONS" in said
    assert listener.came == 0


def test_no_second_opinion_is_asked_of_what_is_not_listed(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, allowed_destinations=["localhost:2575"])
    with Listener("127.0.0.2") as listener, bootstrap(settings) as bundle:
        assert not bundle.answers_others(dicom("127.0.0.2", listener.port))
    assert listener.came == 0


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        pytest.param({}, True, id="nothing listed: the API's own check is all there is"),
        pytest.param({"allowed_destinations": ["127.0.0.0"]}, True, id="built-in receivers are there"),
        pytest.param(
            {"allowed_destinations": ["x"], "rabbitmq_url": "amqp://localhost"}, False, id="none with a broker"
        ),
    ],
)
def test_who_may_connect_to_this_machine(settings: dict[str, object], allowed: bool, tmp_path: Path) -> None:
    with Listener("127.0.0.1") as listener, bootstrap(load_settings(home=tmp_path, **settings)) as bundle:
        preflight(hl7("127.0.0.1", listener.port), bundle.resolve)
    assert bool(listener.came) is allowed
