"""The MLLP receiver as a program of its own."""

from __future__ import annotations

import asyncio
import ssl
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

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MllpReceiverOptions:
    """How ``yeeter receive mllp`` listens, what it shows, and how it lies (see :mod:`app.receivers.mllp.lies`)."""

    host: str = "127.0.0.1"
    port: int = 2575  # 0: any free one
    ledger: Path | None = None  # file for the ledger: a JSON line is added when an order is kept
    show: bool = False  # each message on stdout, a segment a line
    until_eof: bool = False  # stop when stdin ends
    delay_ms: int = 0  # before each answer
    tls_cert_file: Path | None = None  # PEM; with it, TLS is spoken
    tls_key_file: Path | None = None  # PEM; not needed where the certificate's file holds the key too

    drop: int = 0  # orders that are acknowledged and not kept
    duplicate: int = 0  # orders that are kept twice
    swap_patient: int = 0  # orders that are kept under another patient
    reject: int = 0  # orders that are answered AR
    error: int = 0  # orders that are answered AE when they come first


def serve(options: MllpReceiverOptions) -> None:
    """Receive until a signal, or the end of stdin where that was asked for; says on stdout when it is ready.

    Raises:
        Unavailable: the address can't be listened on.
        OSError: the ledger's file or the certificate can't be used.
    """
    with ExitStack() as stack:
        file = stack.enter_context(options.ledger.open("a", encoding="utf-8")) if options.ledger else None
        receiver = MllpReceiver(
            options.host,
            options.port,
            Ledger(file=file),
            Lies(options.drop, options.duplicate, options.swap_patient, options.reject, options.error),
            _tls(options),
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


def _tls(options: MllpReceiverOptions) -> ssl.SSLContext | None:
    if options.tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.tls_cert_file, options.tls_key_file)
    return context
