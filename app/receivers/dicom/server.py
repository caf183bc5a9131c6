"""The DICOM receiver as a program: verification, storage and query SCP, with a ledger.

``listener`` accepts connections and ``connection`` reads them; ``negotiation`` answers association requests,
``association`` serves what comes then, which ``messages`` puts together; ``intake`` and ``find`` are the services.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import structlog

from app.dicom.network.identifiers import encode_identifier
from app.dicom.network.pdu import AssociateAccept, AssociateReject, AssociateRequest, Buffer
from app.domain.errors import Unavailable
from app.domain.study import EncodedInstance
from app.receivers.dicom.association import PENDING, Answer, Association
from app.receivers.dicom.connection import PeerConnection, PeerLimits
from app.receivers.dicom.find import decode_identifier, study_answer, study_filter
from app.receivers.dicom.intake import Intake
from app.receivers.dicom.ledger import StudyLedger
from app.receivers.dicom.listener import Guests, Listener
from app.receivers.dicom.negotiation import negotiate
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.lifecycle import announce_ready, stop_on_signals
from app.receivers.tls import server_context

_IDENTIFIER_DOES_NOT_MATCH = 0xA900
_UNABLE_TO_PROCESS = 0xC000

_log = structlog.get_logger()


def serve(options: DicomReceiverOptions) -> None:
    """Receive until a signal, or the end of stdin where that was asked for.

    Raises:
        Unavailable: the address can't be listened on, or the ledger's file is in use.
        InvalidInput: the ledger's file is something else, or a file of TLS can't be used.
        OSError: the ledger's file can't be opened.
    """
    receiver = DicomReceiver(options)
    with stop_on_signals(until_eof=options.until_eof) as stop:
        receiver.start()
        announce_ready("dicom", options.host, receiver.port)
        stop.wait()
        receiver.close()


class DicomReceiver:
    """The server of this program, for ``serve`` and for tests."""

    def __init__(self, options: DicomReceiverOptions, limits: PeerLimits | None = None) -> None:
        self.ledger = StudyLedger()
        self.port = options.port
        self._options = options
        self._limits = limits or PeerLimits()
        self._guests = Guests(self._limits)
        self._intake = Intake(options, self.ledger)

    def start(self) -> None:
        """Read the ledger's file, then listen; ``port`` is then the real one. Raises as ``serve`` does."""
        if self._options.ledger is not None:
            self._intake.open(self._options.ledger)
        address = (self._options.host, self._options.port)
        tls = server_context(self._options.tls_cert_file, self._options.tls_key_file, self._options.tls_ca_file)
        try:
            self._listener = Listener(address, self._serve, self._guests, self._limits, tls)
        except OSError as error:
            raise Unavailable(
                f"can't listen on {address[0]}:{address[1]}: {error.strerror} (choose another port)"
            ) from error
        self.port = self._listener.port

    def close(self) -> None:
        """End what is under way and stop listening."""
        self._listener.close()
        self._intake.close()

    def _serve(self, connected: socket.socket, peer: Any) -> None:
        connection = PeerConnection(connected, self._limits)
        services = _Services(self._options, self._intake, self.ledger, self._guests, connected)
        Association(connection, services, self._limits, peer).run()
        connection.close()


class _Services:
    """What is done with what one peer asks for."""

    def __init__(
        self,
        options: DicomReceiverOptions,
        intake: Intake,
        ledger: StudyLedger,
        guests: Guests,
        connected: socket.socket,
    ) -> None:
        self._options = options
        self._intake = intake
        self._ledger = ledger
        self._guests = guests
        self._connected = connected

    def negotiate(self, request: AssociateRequest) -> AssociateAccept | AssociateReject:
        aet = self._options.aet if self._options.check_aet else None
        return negotiate(request, aet, lambda: self._guests.associate(self._connected))

    def store(self, instance: EncodedInstance) -> int:
        status = self._intake.take(instance)
        if self._options.delay_ms:
            time.sleep(self._options.delay_ms / 1000)
        return status

    def find(self, identifier: Buffer, transfer_syntax_uid: str) -> Iterator[Answer]:
        try:
            keys = decode_identifier(identifier, transfer_syntax_uid)
            level, matches = keys.get("QueryRetrieveLevel"), study_filter(keys)
        except Exception as error:  # pydicom raises many kinds on bytes that are no data set
            _log.warning("query not understood", error=str(error))
            yield _UNABLE_TO_PROCESS, b""
            return
        if level != "STUDY":
            yield _IDENTIFIER_DOES_NOT_MATCH, b""
            return
        for entry in self._ledger.entries():
            if matches(entry):
                yield PENDING, encode_identifier(study_answer(entry, keys, self._options.aet), transfer_syntax_uid)
