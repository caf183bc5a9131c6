"""Asking Yeeter's own receiver what orders it has: a site-defined query with a tabular response (HL7 2.5.1 chapter 5).

    QBP^Z01^QBP_Q13    MSH QPD RCP [DSC]                    QPD-3: what the accession numbers begin with
    RTB^Z01^RTB_K13    MSH MSA QAK QPD [RDF {RDT}] [DSC]    one row an order

RCP-2 limits the rows of one response. When there are more, DSC-1 of the response is a continuation pointer: the same
query is asked again with it in DSC-1. The receiver's list only grows at its end, so no page misses or repeats an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.study import ReceivedOrder
from app.hl7.character_set import UTF_8, codec_of
from app.hl7.escaping import STANDARD
from app.hl7.parsing import Segments

RECEIVER = "YEETER_RECEIVER"  # MSH-3 of everything the built-in receiver sends
QUERY_TYPE = "QBP^Z01^QBP_Q13"
RESPONSE_TYPE = "RTB^Z01^RTB_K13"
MAX_ROWS = 1000  # of one response

_ASKER = "YEETER"
_NAME = "Z01^YeeterLedger"
_COLUMNS = ("control_id^ST^199", "accession^ST^199", "patient_id^ST^199", "patient_name^XPN^250", "copies^NM^9")


@dataclass(frozen=True, slots=True)
class LedgerQuery:
    """The question: at most ``limit`` of the orders whose accession numbers begin with ``prefix``."""

    control_id: str
    tag: str
    prefix: str
    limit: int = MAX_ROWS
    pointer: int = 0  # how many of them were given already


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """The answer: the next orders, how many there are in all, and where to go on (None: these were the last)."""

    orders: tuple[ReceivedOrder, ...]
    total: int
    pointer: int | None = None


def build_query(query: LedgerQuery, sent_at: datetime) -> bytes:
    segments = [
        _header(_ASKER, RECEIVER, QUERY_TYPE, query.control_id, sent_at),
        _query_definition(query),
        ["RCP", "I", f"{query.limit}^RD"],
    ]
    if query.pointer:
        segments.append(["DSC", str(query.pointer), "I"])
    return _encode(segments)


def parse_query(message: bytes) -> LedgerQuery:
    """Read a message of :data:`QUERY_TYPE`.

    Raises:
        ValueError: it is another query, or incomplete; the text says in what.
    """
    segments = Segments(message)
    if segments.value("QPD", 1) != "Z01":
        raise ValueError(f"QPD-1 is {segments.value('QPD', 1)[:20]!r}; the only query here is {_NAME}")
    prefix = segments.value("QPD", 3)
    if not prefix:
        raise ValueError("QPD-3 is empty; it says what the accession numbers begin with")
    return LedgerQuery(
        control_id=segments.value("MSH", 10),
        tag=segments.value("QPD", 2),
        prefix=prefix,
        limit=min(_number(segments, "RCP", 2, MAX_ROWS), MAX_ROWS),
        pointer=_number(segments, "DSC", 1, 0),
    )


def build_response(query: LedgerQuery, page: LedgerPage, control_id: str, sent_at: datetime) -> bytes:
    """The answer to a query; ``control_id`` is its own MSH-10."""
    remaining = 0 if page.pointer is None else page.total - page.pointer
    status = "OK" if page.total else "NF"  # table 0208
    counts = [str(count) for count in (page.total, len(page.orders), remaining)]
    segments = [
        _header(RECEIVER, _ASKER, RESPONSE_TYPE, control_id, sent_at),
        ["MSA", "AA", STANDARD.escape(query.control_id)],
        ["QAK", STANDARD.escape(query.tag), status, _NAME, *counts],
        _query_definition(query),
    ]
    if page.orders:
        segments.append(["RDF", str(len(_COLUMNS)), "~".join(_COLUMNS)])
        segments += [_row(order) for order in page.orders]
    if page.pointer is not None:
        segments.append(["DSC", str(page.pointer), "I"])
    return _encode(segments)


def parse_response(message: bytes) -> LedgerPage:
    """Read the answer to a query.

    Raises:
        ValueError: it is no such answer; the text says why.
    """
    segments = Segments(message)
    if segments.components("MSH", 9)[:2] != ["RTB", "Z01"]:
        raise ValueError(f"the answer is {segments.raw('MSH', 9)[:20]!r}, not {RESPONSE_TYPE}")
    try:
        orders = tuple(_order(segments, fields) for fields in segments.every("RDT"))
    except (IndexError, ValueError) as error:
        raise ValueError("the answer has a row (RDT) without the columns that were asked for") from error
    pointer = _number(segments, "DSC", 1, 0)
    return LedgerPage(orders, _number(segments, "QAK", 4, 0), pointer or None)


def _header(sender: str, receiver: str, message_type: str, control_id: str, sent_at: datetime) -> list[str]:
    time, version = f"{sent_at:%Y%m%d%H%M%S}", "2.5.1"
    header = ["MSH", STANDARD.encoding_characters, sender, "", receiver, "", time, "", message_type]
    return [*header, STANDARD.escape(control_id), "T", version, *[""] * 5, UTF_8]


def _query_definition(query: LedgerQuery) -> list[str]:
    return ["QPD", _NAME, STANDARD.escape(query.tag), STANDARD.escape(query.prefix)]


def _row(order: ReceivedOrder) -> list[str]:
    plain = [STANDARD.escape(value) for value in (order.control_id, order.accession, order.patient_id)]
    return ["RDT", *plain, STANDARD.components(*order.patient_name.split("^")), str(order.copies)]


def _order(segments: Segments, fields: list[str]) -> ReceivedOrder:
    control_id, accession, patient_id, patient_name, copies = (segments.parts(field) for field in fields[1:6])
    name = "^".join(patient_name).rstrip("^")
    return ReceivedOrder(control_id[0], accession[0], patient_id[0], name, int(copies[0]))


def _number(segments: Segments, segment: str, field: int, default: int) -> int:
    text = segments.value(segment, field) or str(default)
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{segment}-{field} is {text[:20]!r}, not a number")
    return int(text)


def _encode(segments: list[list[str]]) -> bytes:
    return "".join("|".join(fields) + "\r" for fields in segments).encode(codec_of(UTF_8))
