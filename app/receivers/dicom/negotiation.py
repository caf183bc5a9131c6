"""What an association request is answered with (PS3.8 sections 9.3.3 and 9.3.4): accepted, or rejected and why.

Nothing else is negotiated: without an answer to its items, operations are synchronous (PS3.7 annex D.3.3.3), roles are
the usual ones (D.3.3.4), and the user's identity does not matter (D.3.3.7).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from pydicom._uid_dict import UID_dictionary  # there is no public list

from app.dicom.network.pdu import (
    APPLICATION_CONTEXT,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    PduError,
    ProposedContext,
)
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

MAX_PDU: Final = 1 << 18  # what we announce for P-DATA-TF

_TRANSFER_SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)  # the preferred one first
_ACCEPTANCE, _ABSTRACT_SYNTAX_NOT_SUPPORTED, _TRANSFER_SYNTAXES_NOT_SUPPORTED = 0, 3, 4

_VERSION_NOT_SUPPORTED = AssociateReject(AssociateReject.PERMANENT, 2, 2)
_APPLICATION_CONTEXT_NOT_SUPPORTED = AssociateReject(AssociateReject.PERMANENT, 1, 2)
_CALLED_AE_TITLE_NOT_RECOGNIZED = AssociateReject(AssociateReject.PERMANENT, 1, 7)
_LOCAL_LIMIT_EXCEEDED = AssociateReject(AssociateReject.TRANSIENT, 3, 2)


class Service(Enum):
    VERIFICATION = auto()
    STORAGE = auto()
    QUERY = auto()


_STORED = "1.2.840.10008.5.1.4.1.1."  # begins the storage SOP classes, those of deliveries in radiotherapy excepted
_NOT_A_PATIENTS = frozenset(_STORED + end for end in ("200.1", "200.3", "200.7", "201.1"))  # protocols, inventories
_ELSEWHERE = frozenset(("1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10"))
_NEWER = frozenset(_STORED + end for end in ("9.100.1", "9.100.2", "66.7", "66.8"))  # than pydicom's dictionary


def _storage_classes() -> frozenset[str]:
    """The standard's SOP classes for what belongs to a patient's study (PS3.4 table B.5-1)."""
    known = {
        uid
        for uid, (name, kind, other_standard, retired, _) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and not other_standard and not retired
    }
    return _NEWER | _ELSEWHERE | {uid for uid in known if uid.startswith(_STORED)} - _NOT_A_PATIENTS


SERVICES: Final = dict.fromkeys(_storage_classes(), Service.STORAGE) | {
    "1.2.840.10008.1.1": Service.VERIFICATION,
    "1.2.840.10008.5.1.4.1.2.1.1": Service.QUERY,  # patient root
    "1.2.840.10008.5.1.4.1.2.2.1": Service.QUERY,  # study root
}


def negotiate(
    request: AssociateRequest, aet: str | None, admit: Callable[[], bool]
) -> AssociateAccept | AssociateReject:
    """The answer. ``aet`` is the AE title to be called, or None; ``admit`` takes one of the places for associations.

    Raises:
        PduError: the request contradicts itself.
    """
    ids = {context.id for context in request.contexts}
    if len(ids) < len(request.contexts) or not all(number % 2 for number in ids):
        raise PduError("presentation contexts with the same identifier, or an even one")
    if not request.protocol_version & 1:
        return _VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return _APPLICATION_CONTEXT_NOT_SUPPORTED
    results = tuple(map(_result, request.contexts))
    if aet is not None and request.called_aet != aet:
        return _CALLED_AE_TITLE_NOT_RECOGNIZED
    if not admit():
        return _LOCAL_LIMIT_EXCEEDED
    return AssociateAccept(request.called_aet, request.calling_aet, results, MAX_PDU)


def _result(context: ProposedContext) -> ContextResult:
    if not context.transfer_syntaxes:
        raise PduError(f"presentation context {context.id} without a transfer syntax")
    if context.abstract_syntax not in SERVICES:
        return ContextResult(context.id, _ABSTRACT_SYNTAX_NOT_SUPPORTED, context.transfer_syntaxes[0])
    for syntax in _TRANSFER_SYNTAXES:
        if syntax in context.transfer_syntaxes:
            return ContextResult(context.id, _ACCEPTANCE, syntax)
    return ContextResult(context.id, _TRANSFER_SYNTAXES_NOT_SUPPORTED, context.transfer_syntaxes[0])
