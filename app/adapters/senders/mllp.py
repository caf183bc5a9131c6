"""Orders over MLLP: each is sent on its patient's connection and done when its own acknowledgement says so."""

from __future__ import annotations

import ssl
from typing import Final

from app.domain.destination import Hl7Destination
from app.hl7.acknowledgement import Acknowledgement, parse_ack
from app.ports import OrderOutcome, OutboundOrder
from app.util.addresses import Resolve, resolve
from app.util.mllp import Answer, Exchange, MllpClient, Peer, Policy
from app.util.mllp.exchange import Verdict

# What is kept of an acknowledgement, one an order: a receiver may say a megabyte each time.
_LONGEST_ANSWER: Final = 16_384  # bytes
_LONGEST_TEXT: Final = 1000  # characters

_VERDICTS: dict[str, Verdict] = {
    "AA": "accepted",
    "CA": "accepted",
    "AE": "error",
    "CE": "error",
    "AR": "rejected",
    "CR": "rejected",
}


class MllpOrderSender:
    """An :class:`app.ports.OrderSender` for one destination.

    The acknowledgement's MSA-2 must be the control ID that was sent: anything else is ignored, and the wait goes on to
    the time limit. AE and CE are tried again with the same control ID, AR and CR are not. When the outcome is unknown
    (time limit, lost connection, an acknowledgement that can't be read) the connection is closed and the same message
    sent again, unless the destination says otherwise. A destination that can't be connected at all ends every waiting
    order at once (``unreachable``, which may be submitted again), and orders that come later try again once a second.
    """

    def __init__(
        self,
        destination: Hl7Destination,
        tls: ssl.SSLContext | None = None,
        policy: Policy | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        """``tls`` for a destination that asks for it; ``policy`` instead of the one the destination makes.

        Raises:
            ValueError: the destination asks for TLS and there is no context.
        """
        if destination.tls and tls is None:
            raise ValueError(f"{destination} asks for TLS, so a TLS context is needed")
        own_tls = tls if destination.tls else None
        peer = Peer(destination.host, destination.port, own_tls, destination.connect_timeout, resolve)
        self._client = MllpClient(peer, policy or policy_of(destination), classify)

    def submit(self, order: OutboundOrder) -> None:
        self._client.submit(Exchange(order.number, order.lane, order.control_id, order.message))

    def completed(self, timeout: float) -> list[OrderOutcome]:
        return [_outcome(exchange) for exchange in self._client.completed(timeout)]

    def withdraw(self) -> list[int]:
        return [exchange.key for exchange in self._client.withdraw()]

    def close(self) -> None:
        self._client.close()


def policy_of(destination: Hl7Destination) -> Policy:
    return Policy(
        connections=destination.connections,
        answer_timeout=destination.ack_timeout,
        attempts=destination.attempts,
        resend_unknown=destination.on_unknown == "resend",
    )


def classify(message: bytes, control_id: str) -> Answer[Acknowledgement] | None:
    """What a received message means for the order in flight; None when it acknowledges another.

    Raises:
        ValueError: it is no acknowledgement.
    """
    acknowledgement = parse_ack(message)
    if acknowledgement.control_id != control_id:
        return None
    return Answer(_VERDICTS[acknowledgement.code], acknowledgement)


def _outcome(exchange: Exchange[Acknowledgement]) -> OrderOutcome:
    acknowledgement = exchange.answer.detail if exchange.answer else None
    return OrderOutcome(
        number=exchange.key,
        verdict=exchange.verdict,
        code=acknowledgement.code if acknowledgement else "",
        reason=_reason(exchange, acknowledgement),
        acknowledgement=exchange.answer_message[:_LONGEST_ANSWER],
        sender=acknowledgement.sender if acknowledgement else "",
        attempts=exchange.attempts,
        timeouts=exchange.timeouts,
        errors=exchange.errors,
        possibly_duplicated=exchange.possibly_duplicated,
        ack_seconds=exchange.seconds,
        wait_seconds=exchange.wait_seconds,
        total_seconds=exchange.total_seconds,
    )


def _reason(exchange: Exchange[Acknowledgement], acknowledgement: Acknowledgement | None) -> str:
    """Why it was not accepted: what the receiver said, and what kept us from asking again."""
    if exchange.verdict == "accepted" or acknowledgement is None:
        return exchange.reason
    said = ": ".join(filter(None, (acknowledgement.code, acknowledgement.text[:_LONGEST_TEXT])))
    return "; ".join(filter(None, (said, exchange.reason)))
