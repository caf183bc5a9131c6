"""The orders an HL7 receiver has, asked over MLLP. Only Yeeter's own receiver answers the question."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from secrets import token_hex

from app.domain.destination import Hl7Destination
from app.domain.errors import NotAnswerable, Unavailable
from app.domain.study import ReceivedOrder
from app.hl7.acknowledgement import Acknowledgement, parse_ack
from app.hl7.ledger_query import LedgerPage, LedgerQuery, build_query, parse_response
from app.util.addresses import Resolve, resolve
from app.util.mllp import Answer, Exchange, MllpClient, Peer, Policy


class MllpOrderLedger:
    """An :class:`app.ports.OrderLedger`. A receiver that does not answer within ``time_limit`` seconds can't be asked.

    Ask only receivers whose acknowledgements name :data:`app.hl7.ledger_query.RECEIVER`: any other would take the query
    for a message it did not expect.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, time_limit: float = 5.0, resolve: Resolve = resolve) -> None:
        """``tls`` for destinations that ask for it."""
        self._tls = tls
        self._resolve = resolve
        self._time_limit = time_limit

    def received(self, destination: Hl7Destination, run_key: str) -> Iterator[ReceivedOrder]:
        if destination.tls and self._tls is None:
            raise ValueError(f"{destination} asks for TLS, so a TLS context is needed")
        tls = self._tls if destination.tls else None
        peer = Peer(destination.host, destination.port, tls, destination.connect_timeout, self._resolve)
        policy = Policy(connections=1, answer_timeout=self._time_limit, attempts=1, connect_attempts=1)
        with closing(MllpClient(peer, policy, _classify)) as client:
            pointer: int | None = 0
            while pointer is not None:
                page = _ask(client, peer, LedgerQuery(token_hex(8), tag=token_hex(8), prefix=run_key, pointer=pointer))
                yield from page.orders
                if page.pointer is not None and page.pointer <= pointer:
                    raise NotAnswerable(f"{peer} repeats a page of its ledger")
                pointer = page.pointer


def _ask(client: MllpClient[Acknowledgement], peer: Peer, query: LedgerQuery) -> LedgerPage:
    client.submit(Exchange(0, "", query.control_id, build_query(query, datetime.now().astimezone())))
    exchange = _wait_for_answer(client)
    if exchange.answer is None:
        if exchange.timeouts and query.pointer == 0:
            raise NotAnswerable(f"{peer} does not answer a question for its ledger")
        raise Unavailable(exchange.reason)
    if exchange.verdict != "accepted":
        acknowledgement = exchange.answer.detail
        raise NotAnswerable(
            f"{peer} keeps no ledger: it answers {acknowledgement.code} {acknowledgement.text}".rstrip()
        )
    try:
        return parse_response(exchange.answer_message)
    except ValueError as error:
        raise NotAnswerable(f"{peer} keeps no ledger: {error}") from error


def _wait_for_answer(client: MllpClient[Acknowledgement]) -> Exchange[Acknowledgement]:
    """The one exchange under way; the client's own time limits end it."""
    while True:
        for exchange in client.completed(timeout=60.0):
            return exchange


def _classify(message: bytes, control_id: str) -> Answer[Acknowledgement] | None:
    acknowledgement = parse_ack(message)
    if acknowledgement.control_id != control_id:
        return None
    return Answer("accepted" if acknowledgement.code in ("AA", "CA") else "rejected", acknowledgement)
