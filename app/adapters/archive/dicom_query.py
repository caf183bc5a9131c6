"""ArchiveQuery by C-ECHO and C-FIND (study root, study level) on pynetdicom.

Names come in the character set of the archive's choice. Orthanc answers in its ``DefaultEncoding``, as installed
Latin-1, and leaves out every character that this lacks, however the instances are encoded.

pynetdicom's requestor now and then loses the first answer of a fast peer: its own reactor takes it off the queue before
the caller does. Such a query ends without a status after the DIMSE time limit. So a block of studies is handed on only
when it is complete, and one that was lost is asked for once more on a new association.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from app.domain import identity
from app.domain.destination import DicomDestination
from app.domain.errors import NotAnswerable, Unavailable, YeeterError
from app.domain.study import ArchivedStudy
from app.util.addresses import Resolve, resolve
from app.util.dicom_socket import LimitedSocket, ReadLimits

_CONNECT_SECONDS: Final = 5
_ACSE_SECONDS: Final = 30
_DIMSE_SECONDS: Final = 30
_NETWORK_SECONDS: Final = 60

_BLOCK_PREFIX: Final = 3  # characters of the order number that a block's orders share
_BLOCK: Final = 32 ** (identity.NUMBER_LENGTH - _BLOCK_PREFIX)
_ATTEMPTS: Final = 2

_SUCCESS = 0x0000
_PENDING = (0xFF00, 0xFF01)


class _AnswerLost(Exception):
    """No status came: the association was lost, or the answer was."""


class DicomArchiveQuery:
    """Asks an archive over DICOM; see ``app.ports.ArchiveQuery`` for the contract."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, resolve: Resolve = resolve, limits: ReadLimits | None = None
    ) -> None:
        """``tls`` is used for destinations that ask for TLS; ``limits`` says what is read of an archive."""
        self._tls = tls
        self._limits = limits or ReadLimits()
        self._resolve = resolve
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # what goes wrong is in the errors we raise

    def echo(self, destination: DicomDestination) -> None:
        not_offered = Unavailable(f"{destination} does not offer verification (C-ECHO)")
        with self._association(destination, Verification, not_offered) as assoc:
            status = assoc.send_c_echo().get("Status")
        if status is None:
            raise Unavailable(f"{destination} did not answer a C-ECHO")
        if status != _SUCCESS:
            raise Unavailable(f"{destination} answered a C-ECHO with 0x{status:04X}")

    def studies(self, destination: DicomDestination, run_key: str, orders: int) -> Iterator[ArchivedStudy]:
        """The contract's studies; many orders are asked for in blocks of 1,024, since archives limit their answers."""
        not_offered = NotAnswerable(f"{destination} does not offer query (C-FIND, study root)")
        prefixes = _prefixes(run_key, orders)
        attempts = 0
        while prefixes:
            try:
                with self._association(destination, StudyRootQueryRetrieveInformationModelFind, not_offered) as assoc:
                    while prefixes:
                        found = _find(assoc, destination, prefixes[0])
                        yield from found
                        del prefixes[0]
                        attempts = 0
            except _AnswerLost as error:
                attempts += 1
                if attempts == _ATTEMPTS:
                    raise Unavailable(f"{destination} did not answer a C-FIND") from error

    @contextmanager
    def _association(self, destination: DicomDestination, sop_class: str, not_offered: YeeterError) -> Iterator[Any]:
        """An association for one SOP class.

        Raises:
            Unavailable: refused, rejected or aborted.
            not_offered: the peer rejected the SOP class.
        """
        ae = AE(ae_title=destination.calling_aet)
        ae.connection_timeout = _CONNECT_SECONDS
        ae.acse_timeout = _ACSE_SECONDS
        ae.dimse_timeout = _DIMSE_SECONDS
        ae.network_timeout = _NETWORK_SECONDS
        ae.add_requested_context(sop_class)
        rejections: list[A_ASSOCIATE_RJ] = []
        try:
            assoc = ae.associate(
                self._address(destination),
                destination.port,
                ae_title=destination.aet,
                tls_args=self._tls_arguments(destination),
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, _prepare, [self._limits]),
                    (evt.EVT_PDU_RECV, _note_rejection, [rejections]),
                ],
            )
        except OSError as error:  # its look-up of the host's address
            raise Unavailable(f"{destination}: {error.strerror or error}") from error
        if assoc.rejected_contexts:
            raise not_offered
        if not assoc.is_established:
            raise Unavailable(f"{destination}: {_failure(rejections)}")
        try:
            yield assoc
        finally:
            assoc.release()

    def _address(self, destination: DicomDestination) -> str:
        """The address to connect to: as pynetdicom would choose, the first of IPv4, else of IPv6. Raises OSError."""
        found = self._resolve(destination.host, destination.port)
        preferred = [address for family, *_, address in found if family == socket.AF_INET]
        return str((preferred or [address for *_, address in found])[0][0])

    def _tls_arguments(self, destination: DicomDestination) -> tuple[ssl.SSLContext, str] | None:
        if not destination.tls:
            return None
        if self._tls is None:
            raise Unavailable(f"{destination} asks for TLS, but no CA file is set (set YEETER_TLS_CA_FILE)")
        return self._tls, destination.host


def _prefixes(run_key: str, orders: int) -> list[str]:
    """What the accession numbers of orders 0 to ``orders`` begin with: the run key, or each block of it."""
    if orders < _BLOCK:
        return [run_key]
    return [run_key + identity.encode_number(first)[:_BLOCK_PREFIX] for first in range(0, orders + 1, _BLOCK)]


def _find(assoc: Any, destination: DicomDestination, prefix: str) -> list[ArchivedStudy]:
    found = []
    try:
        answers = assoc.send_c_find(_identifier(prefix), StudyRootQueryRetrieveInformationModelFind)
    except RuntimeError as error:  # the peer has ended the association since its last answer
        raise _AnswerLost from error
    for status, identifier in answers:
        code = status.get("Status")
        if code in _PENDING and identifier is not None:
            found.append(_archived_study(identifier))
        elif code is None:
            raise _AnswerLost
        elif code != _SUCCESS:
            raise Unavailable(f"{destination} answered a C-FIND for {prefix}* with 0x{code:04X}")
    return found


def _identifier(prefix: str) -> Dataset:
    """No (0008,0005): PS3.4 C.4.1.1.3.1 has it in a request only where the request's own text needs it."""
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.AccessionNumber = f"{prefix}*"
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "NumberOfStudyRelatedInstances",
    ):
        setattr(ds, keyword, None)
    return ds


def _archived_study(ds: Dataset) -> ArchivedStudy:
    instances = _text(ds, "NumberOfStudyRelatedInstances")
    return ArchivedStudy(
        accession=_text(ds, "AccessionNumber") or "",
        study_uid=_text(ds, "StudyInstanceUID") or "",
        patient_id=_text(ds, "PatientID") or "",
        patient_name=(_text(ds, "PatientName") or "").rstrip("^"),
        birth_date=_text(ds, "PatientBirthDate"),
        sex=_text(ds, "PatientSex"),
        instances=int(instances) if instances and instances.isdecimal() else None,
        character_set=_character_set(ds),
    )


def _character_set(ds: Dataset) -> str:
    """(0008,0005) of the answer; several values are joined by backslashes as on the wire."""
    value = ds.get("SpecificCharacterSet") or ""
    return value if isinstance(value, str) else "\\".join(value)


def _text(ds: Dataset, keyword: str) -> str | None:
    """The value as text, empty where it has none; None where the archive did not return the attribute."""
    if keyword not in ds:
        return None
    value = ds.get(keyword)
    return "" if value is None else str(value).strip()


def _note_rejection(event: evt.Event, rejections: list[A_ASSOCIATE_RJ]) -> None:
    """Taken from the wire: where the peer hangs up at once, pynetdicom's requestor may see only the end."""
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)


def _failure(rejections: list[A_ASSOCIATE_RJ]) -> str:
    if rejections:
        duration = "permanently" if rejections[0].result == 1 else "for now"
        return f"association rejected {duration}: {rejections[0].reason_str}"
    return "no association: it could not be reached, did not answer or aborted"


def _prepare(event: Any, limits: ReadLimits) -> None:
    connected = event.assoc.dul.socket.socket
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    LimitedSocket(event.assoc, connected, limits)  # takes the place of pynetdicom's own
