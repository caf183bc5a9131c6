"""The peers that ours is measured beside: they send what ours sends, it arrives, and the table says who is faster."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pydicom import Dataset, dcmread

from app.adapters.archive.mllp_ledger import MllpOrderLedger
from app.dicom.study import generate_study
from app.domain.destination import Hl7Destination
from app.domain.order import Order
from app.hl7.orm import OrmRenderer
from app.producer.receivers import BuiltInReceiver
from benchmarks.__main__ import COMPARISONS, LAUNCHING
from benchmarks.__main__ import parser as parser_of_launches
from benchmarks.peers import whole_way
from benchmarks.peers.archive import Archive, running_archives
from benchmarks.peers.bare import IN_FLIGHT, bare_workers, produce
from benchmarks.peers.data_set import ct_data_set
from benchmarks.peers.message import CHARACTER_SET, with_hl7apy, with_python_hl7
from benchmarks.peers.on_celery import celery_worker, on_celery
from benchmarks.peers.orders import metadata_only, new_planner, planned_orders
from benchmarks.peers.scripts import plain_script, smartest_script
from benchmarks.peers.sending import PeerFailed, store_files
from benchmarks.peers.turns import Contender, rows_of, take_turns
from benchmarks.stages import suite
from tests.services.processes import free_port, wait_until

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
ORDERS = planned_orders(10)


# --- the same work ---


@pytest.mark.parametrize("build", [with_hl7apy, with_python_hl7])
@pytest.mark.parametrize(
    "order", [order for order in ORDERS if OrmRenderer(metadata_only().hl7).render(order).isascii()]
)
def test_peers_messages_say_what_ours_say(build: Callable[[Order], bytes], order: Order) -> None:
    message = build(order).decode().replace("||||||" + CHARACTER_SET, "")  # ours names the narrowest that will do
    assert message == OrmRenderer(metadata_only().hl7).render(order).decode()


@pytest.mark.parametrize("order", ORDERS)
def test_peers_instances_have_the_elements_of_ours(order: Order) -> None:
    (ours,) = generate_study(order)
    peers = ct_data_set(order)
    del peers.SpecificCharacterSet  # ours has the one that is needed
    own = dcmread(BytesIO(bytes(ours.data)), force=True)
    own.pop("SpecificCharacterSet", None)
    assert _keywords(peers) == _keywords(own)
    assert len(peers.PixelData) == len(own.PixelData)


def _keywords(ds: Dataset) -> dict[str, Any]:
    return {each.keyword: [_keywords(item) for item in each.value] if each.VR == "SQ" else None for each in ds}


# --- it arrives ---


@pytest.fixture
def mllp_port() -> Iterator[int]:
    with BuiltInReceiver("mllp") as receiver:
        yield receiver.port


@pytest.fixture
def archive() -> Iterator[Archive]:
    """With TCP_NODELAY: nothing here is measured."""
    with running_archives() as archives:
        yield archives[True]


@pytest.mark.parametrize("script", [plain_script, smartest_script])
def test_what_scripts_send_arrives(
    script: Callable[..., None], mllp_port: int, archive: Archive, tmp_path: Path
) -> None:
    orders = planned_orders(3)
    script(orders, mllp_port, archive, tmp_path)
    _assert_arrived(orders, mllp_port, archive)


def test_what_celery_is_given_arrives(mllp_port: int, archive: Archive, amqp_url: str, tmp_path: Path) -> None:
    orders = planned_orders(5)
    with celery_worker(amqp_url, tmp_path):
        on_celery(orders, mllp_port, archive)
    _assert_arrived(orders, mllp_port, archive)


def test_what_ours_sends_without_guarantees_arrives(
    mllp_port: int, archive: Archive, amqp_url: str, postgres_url: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "RABBITMQ_URL": amqp_url, "DATABASE_URL": postgres_url}
    planner = new_planner()
    with bare_workers(2, environment, "bare", archive, tmp_path):
        produce(planner, 5, mllp_port, environment, "bare")
        archive.await_count(5)
        wait_until(lambda: _events(postgres_url) == 5 * 5, 10, "five events of five orders")
    _assert_arrived([planner.order(number) for number in range(5)], mllp_port, archive)


def test_ours_without_guarantees_ends_where_an_order_is_not_accepted(
    amqp_url: str, postgres_url: str, archive: Archive, tmp_path: Path
) -> None:
    environment = {**os.environ, "RABBITMQ_URL": amqp_url, "DATABASE_URL": postgres_url}
    nobody = free_port()
    with bare_workers(1, environment, "bare", archive, tmp_path), pytest.raises(PeerFailed, match="unreachable"):
        produce(new_planner(), 2 * IN_FLIGHT, nobody, environment, "bare")


def _events(postgres_url: str) -> int:
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM bare_events")
        return int(cursor.fetchone()[0])


def _assert_arrived(orders: Sequence[Order], mllp_port: int, archive: Archive) -> None:
    destination = Hl7Destination(host="127.0.0.1", port=mllp_port)
    received = MllpOrderLedger().received(destination, orders[0].run_key)
    expected = sorted(order.accession for order in orders)
    assert sorted(order.accession for order in received) == expected
    assert sorted(ds.AccessionNumber for ds in archive.received().values()) == expected


def test_a_peer_that_stores_nothing_has_no_figure(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="storescu"):
        store_files(tmp_path / "missing", archive.aet, archive.port, no_delay=True)


def test_a_round_in_which_not_everything_arrives_has_no_figure(archive: Archive) -> None:
    place = whole_way.Hospital(mllp_port=1, archives={True: archive}, environment={}, folder=Path())
    with pytest.raises(PeerFailed, match="0 of 2 instances are at storescp --fork, TCP_NODELAY=1"):
        whole_way.of_script(lambda *_: None, place, archive, 2)


def test_every_stage_is_done_by_ours_and_by_peers(amqp_url: str) -> None:
    with ExitStack() as stack:
        contenders = [*suite.contenders(stack, amqp_url, seconds=0.002)]
        rows = [*rows_of(take_turns(contenders, 1, lambda said: None))]
    assert all(row["per_second"] > 0 for row in rows)
    for row in rows:
        for said in ("stage", "against", "who"):
            assert row[said] in PAGE, row[said]


# --- turns and tables ---


class Clockwork:
    """A contender's measurements: the rates that are given, in order; ``seen`` is told of each."""

    def __init__(self, seen: list[str], who: str, *rates: float) -> None:
        self._seen = seen
        self._who = who
        self._rates = list(rates)

    def __call__(self) -> float:
        self._seen.append(self._who)
        return self._rates.pop(0)


def _contest(seen: list[str]) -> list[Contender]:
    rates = {"ours": (100.0, 10.0, 30.0), "fast": (10.0, 5.0, 10.0), "slow": (1.0, 1.0, 11.0)}
    return [Contender("stage", "archive", who, Clockwork(seen, who, *given)) for who, given in rates.items()]


def test_contenders_take_turns_and_nobody_is_always_first() -> None:
    seen: list[str] = []
    take_turns(_contest(seen), 3, lambda said: None)
    assert seen == ["ours", "fast", "slow", "slow", "fast", "ours", "ours", "fast", "slow"]


def test_rates_are_compared_with_the_best_peers_of_the_same_round() -> None:
    rows = [*rows_of(take_turns(_contest([]), 3, lambda said: None))]
    assert [(row["who"], row["per_second"], row["times_best_peer"]) for row in rows] == [
        ("ours", 30.0, 3.0),  # 10, 2 and 3 times the fast one
        ("fast", 10.0, 1.0),
        ("slow", 1.0, 0.2),
    ]


# --- the page ---


def test_commands_of_the_page_can_be_typed() -> None:
    prefix = ".venv/bin/python -m benchmarks "
    typed = [shlex.split(line.removeprefix(prefix)) for line in PAGE.splitlines() if line.startswith(prefix)]
    parsers = {"peers": whole_way.parser(), "stages": suite.parser()}
    assert parsers.keys() == COMPARISONS.keys() <= {command[0] for command in typed}
    for command in typed:
        if command[0] in parsers:
            parsers[command[0]].parse_args(command[1:])
        else:
            assert parser_of_launches().parse_known_args(command)[0].suite in (*LAUNCHING, "hl7")
