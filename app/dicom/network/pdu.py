"""PDUs of the DICOM upper layer (PS3.8 section 9.3) as values, to bytes and back. No input or output happens here.

Every PDU begins alike; its length counts what follows these six bytes:

    type  00  length, 4 bytes big-endian  | body
    ----  --  -------------------------   |
    01    A-ASSOCIATE-RQ                  | 0001 0000 called[16] calling[16] zero[32] items
    02    A-ASSOCIATE-AC                  | as above: the AE titles come back as they were sent
    03    A-ASSOCIATE-RJ                  | 00 result source reason
    04    P-DATA-TF                       | presentation data values (see DataTransfer)
    05    A-RELEASE-RQ                    | 00000000
    06    A-RELEASE-RP                    | 00000000
    07    A-ABORT                         | 00 00 source reason

The items of an association request and of its answer, each ``type 00 length[2] content``:

    10  application context         UID 1.2.840.10008.3.1.1.1
    20  presentation context (RQ)   id 00 00 00, then one 30 (abstract syntax), then 40s (transfer syntaxes)
    21  presentation context (AC)   id 00 result 00, then one 40 (transfer syntax)
    50  user information            51 maximum length[4], 52 implementation class UID, 55 implementation version name,
                                    53 operations invoked[2] operations performed[2] (PS3.7 annex D.3.3.3)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, ClassVar, Self, TypeAlias

from app.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

Buffer: TypeAlias = bytes | bytearray | memoryview

HEADER = Struct(">BxI")  # type, length of the body
HEADER_SIZE = HEADER.size

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

MAX_CONTEXTS = 128  # identifiers are the odd numbers of one byte

_ASSOCIATE = Struct(">HH16s16s32x")
_ITEM = Struct(">BxH")
_CONTEXT = Struct(">BxBx")
_FOUR_BYTES = Struct(">BBBB")
_MAX_LENGTH = Struct(">I")
_WINDOW = Struct(">HH")
_VALUE = Struct(">IBB")  # length, context, message control header

IS_COMMAND, IS_LAST = 1, 2  # message control header, PS3.8 annex E.2


class PduError(ValueError):
    """Bytes that are no PDU of the upper layer, or one that contradicts itself."""


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as the requestor proposes it; ``id`` is odd."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The acceptor's answer to one proposed context.

    Results: 0 acceptance, 1 user rejection, 2 no reason, 3 abstract syntax not supported, 4 transfer syntaxes not
    supported. The transfer syntax means something with 0 only.
    """

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class OperationsWindow:
    """How many requests may wait for their answers at a time (PS3.7 annex D.3.3.3); 0 is no limit.

    ``invoked`` is about requests of the association's requestor, in the request and in its answer. An acceptor that
    says nothing means one each, and may answer only a request that had this item, with no more than that asks for.
    """

    invoked: int = 1
    performed: int = 1


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2). ``max_pdu`` is the longest P-DATA-TF body the sender takes; 0 is no limit.

    The protocol version has a bit for each one that the requestor speaks; there is only the first.
    """

    TYPE: ClassVar[int] = 0x01

    called_aet: str
    calling_aet: str
    contexts: tuple[ProposedContext, ...]
    max_pdu: int
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version: str = IMPLEMENTATION_VERSION_NAME
    window: OperationsWindow | None = None
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1

    def encode(self) -> bytes:
        items = [_item(0x10, self.application_context.encode("ascii"))]
        for context in self.contexts:
            syntaxes = [_item(0x30, context.abstract_syntax.encode("ascii"))]
            syntaxes += [_item(0x40, syntax.encode("ascii")) for syntax in context.transfer_syntaxes]
            items.append(_item(0x20, _CONTEXT.pack(context.id, 0) + b"".join(syntaxes)))
        items.append(_user_information(self))
        return _pdu(self.TYPE, _associate(self.called_aet, self.calling_aet, self.protocol_version) + b"".join(items))

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        version, called, calling = _head(body)
        application_context = ""
        contexts = []
        user: dict[int, bytes] = {}
        for kind, content in _items(body, _ASSOCIATE.size):
            if kind == 0x10:
                application_context = _text(content)
            elif kind == 0x20:
                context_id, _ = _unpack(_CONTEXT, content)
                syntaxes = list(_items(content, _CONTEXT.size))
                abstract = [_text(value) for kind, value in syntaxes if kind == 0x30]
                if len(abstract) != 1:
                    raise PduError(f"presentation context {context_id} names {len(abstract)} abstract syntaxes")
                transfer = tuple(_text(value) for kind, value in syntaxes if kind == 0x40)
                contexts.append(ProposedContext(context_id, abstract[0], transfer))
            elif kind == 0x50:
                user = dict(_items(content))
        user_information = _read_user_information(user)
        return cls(called, calling, tuple(contexts), *user_information, application_context, version)


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 9.3.3)."""

    TYPE: ClassVar[int] = 0x02

    called_aet: str
    calling_aet: str
    contexts: tuple[ContextResult, ...]
    max_pdu: int
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version: str = IMPLEMENTATION_VERSION_NAME
    window: OperationsWindow | None = None

    def encode(self) -> bytes:
        items = [_item(0x10, APPLICATION_CONTEXT.encode("ascii"))]
        for context in self.contexts:
            syntax = _item(0x40, context.transfer_syntax.encode("ascii"))
            items.append(_item(0x21, _CONTEXT.pack(context.id, context.result) + syntax))
        items.append(_user_information(self))
        return _pdu(self.TYPE, _associate(self.called_aet, self.calling_aet) + b"".join(items))

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        _, called, calling = _head(body)
        contexts = []
        user: dict[int, bytes] = {}
        for kind, content in _items(body, _ASSOCIATE.size):
            if kind == 0x21:
                context_id, result = _unpack(_CONTEXT, content)
                syntaxes = dict(_items(content, _CONTEXT.size))
                contexts.append(ContextResult(context_id, result, _text(syntaxes.get(0x40))))
            elif kind == 0x50:
                user = dict(_items(content))
        return cls(called, calling, tuple(contexts), *_read_user_information(user))


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4): result 1 permanent, 2 transient; source 1 user, 2 ACSE, 3 presentation layer."""

    TYPE: ClassVar[int] = 0x03
    PERMANENT: ClassVar[int] = 1
    TRANSIENT: ClassVar[int] = 2

    result: int
    source: int
    reason: int

    def encode(self) -> bytes:
        return _pdu(self.TYPE, bytes((0, self.result, self.source, self.reason)))

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        _, result, source, reason = _unpack(_FOUR_BYTES, body)
        return cls(result, source, reason)


@dataclass(frozen=True, slots=True)
class DataValue:
    """A presentation data value: a fragment of a message's command set or of its data set."""

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """P-DATA-TF (PS3.8 9.3.5): one or more values.

        04 00 length[4] | length[4] context control data | length[4] context control data | ...

    A value's length counts its context, control and data. Control: bit 0 command set (else data set), bit 1 last
    fragment.
    """

    TYPE: ClassVar[int] = 0x04

    values: tuple[DataValue, ...]

    def encode(self) -> bytes:
        parts = []
        for value in self.values:
            control = IS_COMMAND * value.is_command | IS_LAST * value.is_last
            parts.append(_VALUE.pack(len(value.data) + 2, value.context_id, control) + value.data)
        return _pdu(self.TYPE, b"".join(parts))

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        values = []
        position = 0
        while position < len(body):
            length, context_id, control = _unpack(_VALUE, body, position)
            start, end = position + _VALUE.size, position + 4 + length
            if length < 2 or end > len(body):
                raise PduError(f"presentation data value of {length} bytes in a PDU of {len(body)}")
            values.append(
                DataValue(context_id, bool(control & IS_COMMAND), bool(control & IS_LAST), bytes(body[start:end]))
            )
            position = end
        return cls(tuple(values))


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""

    TYPE: ClassVar[int] = 0x05

    def encode(self) -> bytes:
        return _pdu(self.TYPE, bytes(4))

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        _unpack(_FOUR_BYTES, body)
        return cls()


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP (PS3.8 9.3.7)."""

    TYPE: ClassVar[int] = 0x06

    def encode(self) -> bytes:
        return _pdu(self.TYPE, bytes(4))

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        _unpack(_FOUR_BYTES, body)
        return cls()


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8): source 0 service user, 2 service provider; the reason means something with 2 only."""

    TYPE: ClassVar[int] = 0x07

    source: int = 0
    reason: int = 0

    def encode(self) -> bytes:
        return _pdu(self.TYPE, bytes((0, 0, self.source, self.reason)))

    @classmethod
    def decode(cls, body: Buffer) -> Self:
        _, _, source, reason = _unpack(_FOUR_BYTES, body)
        return cls(source, reason)


Pdu: TypeAlias = (
    AssociateRequest | AssociateAccept | AssociateReject | DataTransfer | ReleaseRequest | ReleaseResponse | Abort
)

_PDUS: dict[int, type[Pdu]] = {
    cls.TYPE: cls
    for cls in (
        AssociateRequest,
        AssociateAccept,
        AssociateReject,
        DataTransfer,
        ReleaseRequest,
        ReleaseResponse,
        Abort,
    )
}


def is_pdu_type(kind: int) -> bool:
    return kind in _PDUS


def decode(kind: int, body: Buffer) -> Pdu:
    """The PDU of this type.

    Raises:
        PduError: an unknown type, or a body that is not of this type.
    """
    if kind not in _PDUS:
        raise PduError(f"PDU type 0x{kind:02X} does not exist")
    return _PDUS[kind].decode(body)


# --- Pieces -----------------------------------------------------------------------------------------------------------


def _pdu(kind: int, body: bytes) -> bytes:
    return HEADER.pack(kind, len(body)) + body


def _item(kind: int, content: bytes) -> bytes:
    return _ITEM.pack(kind, len(content)) + content


def _associate(called_aet: str, calling_aet: str, version: int = 1) -> bytes:
    return _ASSOCIATE.pack(version, 0, called_aet.encode("ascii").ljust(16), calling_aet.encode("ascii").ljust(16))


def _user_information(associate: AssociateRequest | AssociateAccept) -> bytes:
    parts = [
        _item(0x51, _MAX_LENGTH.pack(associate.max_pdu)),
        _item(0x52, associate.implementation_class_uid.encode("ascii")),
    ]
    if associate.window is not None:
        parts.append(_item(0x53, _WINDOW.pack(associate.window.invoked, associate.window.performed)))
    parts.append(_item(0x55, associate.implementation_version.encode("ascii")))
    return _item(0x50, b"".join(parts))


def _read_user_information(user: dict[int, bytes]) -> tuple[int, str, str, OperationsWindow | None]:
    """Maximum length, implementation class UID and version name, and the operations window where there is one.

    Without a maximum length sub-item there is no limit (PS3.8 annex D.1).
    """
    max_pdu = int(_unpack(_MAX_LENGTH, user[0x51])[0]) if 0x51 in user else 0
    window = OperationsWindow(*_unpack(_WINDOW, user[0x53])) if 0x53 in user else None
    return max_pdu, _text(user.get(0x52)), _text(user.get(0x55)), window


def _head(body: Buffer) -> tuple[int, str, str]:
    """Protocol version, called and calling AE title."""
    version, _, called, calling = _unpack(_ASSOCIATE, body)
    return int(version), _text(called), _text(calling)


def _items(data: Buffer, position: int = 0) -> Iterator[tuple[int, bytes]]:
    while position < len(data):
        kind, length = _unpack(_ITEM, data, position)
        start, position = position + _ITEM.size, position + _ITEM.size + length
        if position > len(data):
            raise PduError(f"item 0x{kind:02X} of {length} bytes ends after its PDU")
        yield kind, bytes(data[start:position])


def _text(value: bytes | None) -> str:
    """ASCII text without the padding that peers add to AE titles (spaces) and UIDs (a NUL)."""
    try:
        return (value or b"").decode("ascii").strip(" \0")
    except UnicodeDecodeError as error:
        raise PduError("text that is not ASCII") from error


def _unpack(form: Struct, data: Buffer, position: int = 0) -> tuple[Any, ...]:
    if position + form.size > len(data):
        raise PduError(f"{form.size} bytes expected at {position}, the PDU ends at {len(data)}")
    return form.unpack_from(data, position)
