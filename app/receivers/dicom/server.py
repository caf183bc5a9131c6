"""The DICOM receiver as a program: verification, storage and query SCP on pynetdicom, with a ledger in memory."""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
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
from app.receivers.dicom.find import study_answer, study_filter
from app.receivers.dicom.intake import Intake
from app.receivers.dicom.ledger import StudyEntry, StudyLedger
from app.receivers.dicom.listener import Listener
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.lifecycle import announce_ready, stop_on_signals

_MAX_PDU = 1 << 18  # each PDU is a pass through pynetdicom's state machine
_MAX_ASSOCIATIONS = 256
_TRANSFER_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

_PENDING = 0xFF00
_CANCELLED = 0xFE00
_IDENTIFIER_DOES_NOT_MATCH = 0xA900

_log = structlog.get_logger()


def serve(options: DicomReceiverOptions) -> None:
    """Receive until a signal, or the end of stdin where that was asked for; then write the ledger if it has a file.

    Raises:
        Unavailable: the address can't be listened on.
    """
    receiver = DicomReceiver(options)
    with stop_on_signals(until_eof=options.until_eof) as stop:
        receiver.start()
        announce_ready("dicom", options.host, receiver.port)
        stop.wait()
        receiver.close()
    if options.ledger is not None:
        write_ledger(options.ledger, receiver.ledger.entries())


class DicomReceiver:
    """The server of this program, for ``serve`` and for tests."""

    def __init__(self, options: DicomReceiverOptions) -> None:
        self.ledger = StudyLedger()
        self.port = options.port
        self._options = options
        self._intake = Intake(options, self.ledger)
        self._ae = AE(ae_title=options.aet)
        self._ae.maximum_pdu_size = _MAX_PDU
        self._ae.maximum_associations = _MAX_ASSOCIATIONS
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
        """Listen; ``port`` is then the real one.

        Raises:
            Unavailable: the address can't be listened on.
        """
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # it logs what the peer is told anyway
        _config.LOG_HANDLER_LEVEL = "none"  # nor does it then describe each PDU for the log: a sixth of its time
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        address = (self._options.host, self._options.port)
        tls = _tls(self._options)
        try:
            self._listener = Listener(self._ae, address, handlers, tls)
        except OSError as error:
            raise Unavailable(
                f"can't listen on {address[0]}:{address[1]}: {error.strerror} (choose another port)"
            ) from error
        self.port = self._listener.port

    def close(self) -> None:
        """End what is under way and stop listening."""
        self._listener.close()

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


def write_ledger(path: Path, entries: list[StudyEntry]) -> None:
    """One JSON object a line for each study, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write(json.dumps(_as_json(entry), ensure_ascii=False) + "\n")
    part.replace(path)


def _as_json(entry: StudyEntry) -> dict[str, Any]:
    return {
        "accession": entry.study.accession,
        "study_uid": entry.study.study_uid,
        "patient_id": entry.study.patient.id,
        "patient_name": entry.study.patient.name,
        "birth_date": entry.study.patient.birth_date,
        "sex": entry.study.patient.sex,
        "instances": len(entry.instances),
        "repeats": entry.repeats,
    }


def _tls(options: DicomReceiverOptions) -> ssl.SSLContext | None:
    if options.tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.tls_cert_file, options.tls_key_file)
    return context
