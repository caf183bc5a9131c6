"""The MLLP receiver as a program of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.hl7.parsing import Segments
from app.receivers.lifecycle import announce_ready, stop_on_signals
from app.receivers.mllp.ledger import Ledger
from app.receivers.mllp.lies import Lies
from app.receivers.mllp.server import MllpReceiver
from app.receivers.tls import server_context

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MllpReceiverOptions:
    """How ``yeeter receive mllp`` listens, what it shows, and how it lies (see :mod:`app.receivers.mllp.lies`)."""

    host: str = "127.0.0.1"
    port: int = 2575  # 0: any free one
    ledger: Path | None = (
        None  # file for the ledger, a JSON line an order; what it has is known again at the next start
    )
    show: bool = False  # each message on stdout, a segment a line
    until_eof: bool = False  # stop when stdin ends
    delay_ms: int = 0  # before each answer
    tls_cert_file: Path | None = None  # PEM; with it, TLS is spoken
    tls_key_file: Path | None = None  # PEM; not needed where the certificate's file holds the key too
    tls_ca_file: Path | None = None  # PEM; senders must then show a certificate that one of these CAs issued

    drop: int = 0  # orders that are acknowledged and not kept
    duplicate: int = 0  # orders that are kept twice
    swap_patient: int = 0  # orders that are kept under another patient
    reject: int = 0  # orders that are answered AR
    error: int = 0  # orders that are answered AE when they come first


def serve(options: MllpReceiverOptions) -> None:
    """Receive until a signal, or the end of stdin where that was asked for; says on stdout when it is ready.

    Raises:
        Unavailable: the address can't be listened on, or the ledger's file is in use.
        InvalidInput: the ledger's file is something else, or a file of TLS can't be used.
        OSError: the ledger's file can't be opened.
    """
    with ExitStack() as stack:
        receiver = MllpReceiver(
            options.host,
            options.port,
            Ledger(),
            Lies(options.drop, options.duplicate, options.swap_patient, options.reject, options.error),
            server_context(options.tls_cert_file, options.tls_key_file, options.tls_ca_file),
            file=options.ledger,
            delay=options.delay_ms / 1000,
            on_message=show if options.show else None,
        )
        stop = stack.enter_context(stop_on_signals(until_eof=options.until_eof))
        asyncio.run(_receive(receiver, stop))
    log.info("MLLP receiver ended", orders=len(receiver.ledger), repeats=receiver.ledger.repeats)


def show(message: bytes) -> None:
    """Write a message to stdout, readable: a segment a line, and an empty line after the last."""
    text = message.decode(Segments(message).codec, "replace").replace("\r", "\n")
    sys.stdout.write(text.rstrip("\n") + "\n\n")
    sys.stdout.flush()


async def _receive(receiver: MllpReceiver, stop: threading.Event) -> None:
    async with receiver:
        announce_ready("mllp", receiver.host, receiver.port)
        await asyncio.to_thread(stop.wait)
