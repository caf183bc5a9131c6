"""Queue depths from a real management API; an error is never an empty queue."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest

from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.adapters.broker.rabbitmq_management import RabbitMqQueueMeter
from app.domain.errors import InvalidInput, Unavailable
from app.ports import QueueLoad
from tests.contract.broker_messages import collect, numbered
from tests.services.processes import free_port, wait_until
from tests.services.rabbitmq import RabbitMq


@contextmanager
def meter_of(node: RabbitMq, url: str) -> Iterator[RabbitMqQueueMeter]:
    meter = RabbitMqQueueMeter(url, f"http://127.0.0.1:{node.management_port}/")
    yield meter
    meter.close()


def test_it_tells_what_is_ready_and_what_consumers_hold(rabbitmq: RabbitMq, amqp_url: str) -> None:
    broker = RabbitMqBroker(amqp_url)
    broker.declare(["work", "other"])
    broker.publish(numbered(0, 30))
    subscription = broker.subscribe(["work"], prefetch=12)
    held = collect(subscription, 12)
    with meter_of(rabbitmq, amqp_url) as meter:

        def becomes(ready: int, unacknowledged: int) -> None:
            load = QueueLoad(ready, unacknowledged)
            wait_until(lambda: meter.measure(["work"]) == {"work": load}, 30, f"it tells {load}")

        becomes(18, 12)
        assert meter.measure(["work", "other", "missing"]).keys() == {"work", "other"}
        assert meter.measure(["missing"]) == {}
        subscription.acknowledge(held[:10])
        collect(subscription, 10)
        becomes(8, 12)
    broker.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"password": "wrong"}, "401.*tag `monitoring`", id="a wrong password"),
        pytest.param({"path": "/nowhere"}, "404.*virtual host", id="a virtual host that is not there"),
    ],
)
def test_what_is_refused_is_said_with_the_cure(
    rabbitmq: RabbitMq, amqp_url: str, change: dict[str, str], words: str
) -> None:
    parts = urlsplit(amqp_url)
    user, _, place = parts.netloc.rpartition("@")
    netloc = f"{user.split(':')[0]}:wrong@{place}" if "password" in change else parts.netloc
    url = urlunsplit(parts._replace(netloc=netloc, path=change.get("path", parts.path)))
    with meter_of(rabbitmq, url) as meter, pytest.raises(Unavailable, match=words) as told:
        meter.measure(["work"])
    assert "quiet" not in str(told.value)


@pytest.mark.parametrize("answer", [b"", b"not HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
def test_whoever_is_no_management_api_is_said_to_be_that(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        meter = RabbitMqQueueMeter("amqp://guest:guest@127.0.0.1", f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(Unavailable, match=r"management API at http://127\.0\.0\.1"):
            meter.measure(["work"])
        thread.join()
        meter.close()


def test_totals_that_are_not_there_yet_are_no_empty_queue() -> None:
    body = b'[{"name": "work"}]'
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        meter = RabbitMqQueueMeter("amqp://guest:guest@127.0.0.1", f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(Unavailable, match="no totals yet"):
            meter.measure(["work"])
        thread.join()
        meter.close()


def test_one_that_is_away_is_said_to_be_that() -> None:
    meter = RabbitMqQueueMeter("amqp://guest:guest@127.0.0.1", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="YEETER_RABBITMQ_MANAGEMENT_URL"):
        meter.measure(["work"])
    meter.close()


@pytest.mark.parametrize(
    ("broker", "management", "field"),
    [
        ("amqp://", None, "RABBITMQ_URL"),
        ("amqp://host", "host:15672", "YEETER_RABBITMQ_MANAGEMENT_URL"),
        ("amqp://host", "ftp://host", "YEETER_RABBITMQ_MANAGEMENT_URL"),
        ("amqp://host", "http://user:s3cret@host", "YEETER_RABBITMQ_MANAGEMENT_URL"),
        ("amqp://host", "http://host:port", "YEETER_RABBITMQ_MANAGEMENT_URL"),
        ("amqp://host", "http://[::1", "YEETER_RABBITMQ_MANAGEMENT_URL"),
    ],
)
def test_addresses_that_are_none(broker: str, management: str | None, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        RabbitMqQueueMeter(broker, management)
    assert refused.value.problems[0].field == field
    assert "s3cret" not in str(refused.value)
