"""The DICOM receiver as a program: verification, storage and query SCP on pynetdicom, with a ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from app.domain.errors import Unavailable
from app.receivers.dicom.connection import PeerLimits
from app.receivers.dicom.find import study_answer, study_filter
from app.receivers.dicom.intake import Intake
from app.receivers.dicom.ledger import StudyLedger
from app.receivers.dicom.listener import Listener
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.lifecycle import announce_ready, stop_on_signals
from app.receivers.tls import server_context

_MAX_PDU = 1 << 18  # each PDU is a pass through pynetdicom's state machine
_TRANSFER_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

_PENDING = 0xFF00
_CANCELLED = 0xFE00
_IDENTIFIER_DOES_NOT_MATCH = 0xA900

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
        self._intake = Intake(options, self.ledger)
        self._ae = AE(ae_title=options.aet)
        self._ae.maximum_pdu_size = _MAX_PDU
        self._limits = limits or PeerLimits()
        # pynetdicom counts those that only wait, too.
        self._ae.maximum_associations = self._limits.associations + self._limits.waiting
        self._ae.require_called_aet = options.check_aet
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(context.abstract_syntax, _TRANSFER_SYNTAXES)
        for sop_class in (
            Verification,
            StudyRootQueryRetrieveInformationModelFind,
            PatientRootQueryRetrieveInformationModelFind,
        ):
            self._ae.add_supported_context(sop_class, _TRANSFER_SYNTAXES)

    def start(self) -> None:
        """Read the ledger's file, then listen; ``port`` is then the real one. Raises as ``serve`` does."""
        if self._options.ledger is not None:
            self._intake.open(self._options.ledger)
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # it logs what the peer is told anyway
        _config.LOG_HANDLER_LEVEL = "none"  # nor does it then describe each PDU for the log: a sixth of its time
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        address = (self._options.host, self._options.port)
        tls = server_context(self._options.tls_cert_file, self._options.tls_key_file, self._options.tls_ca_file)
        try:
            self._listener = Listener(self._ae, address, handlers, tls, self._limits)
        except OSError as error:
            raise Unavailable(
                f"can't listen on {address[0]}:{address[1]}: {error.strerror} (choose another port)"
            ) from error
        self.port = self._listener.port

    @property
    def associations(self) -> list[Any]:
        """Those that are open, or were asked for, or may still be."""
        return self._listener.associations

    def close(self) -> None:
        """End what is under way and stop listening."""
        self._listener.close()
        self._intake.close()

    def _store(self, event: Any) -> int:
        request = event.request
        status = self._intake.take(
            request.DataSet,
            event.context.transfer_syntax == ImplicitVRLittleEndian,
            str(request.AffectedSOPInstanceUID),
            event.encoded_dataset,
        )
        if self._options.delay_ms:
            time.sleep(self._options.delay_ms / 1000)
        return status

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        identifier = event.identifier
        if identifier.get("QueryRetrieveLevel") != "STUDY":
            yield _IDENTIFIER_DOES_NOT_MATCH, None
            return
        matches = study_filter(identifier)
        for entry in self.ledger.entries():
            if event.is_cancelled:
                yield _CANCELLED, None
                return
            if matches(entry):
                yield _PENDING, study_answer(entry, identifier, self._options.aet)
