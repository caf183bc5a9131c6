"""The question for a receiver's ledger, and its answer."""

from __future__ import annotations

from datetime import datetime

import hl7
import pytest
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from app.domain.study import ReceivedOrder
from app.hl7.acknowledgement import parse_ack
from app.hl7.ledger_query import (
    MAX_ROWS,
    RECEIVER,
    LedgerPage,
    LedgerQuery,
    build_query,
    build_response,
    parse_query,
    parse_response,
)

SENT_AT = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - any moment
QUERY = LedgerQuery("Q1", "tag", "7K3QX0AB", limit=2)
ORDERS = (
    ReceivedOrder("7K3QX0AB0000001", "7K3QX0AB00000", "PAT1", "Müller^Änne^^Jr", 1),
    ReceivedOrder("7K3QX0AB0000101", "7K3QX0AB00001", "A|B^C~D&E\\F", "O'Brien & Søn|^x~y\\z", 2),
)

TEXT = st.text(max_size=20)
NAMES = st.lists(TEXT.map(lambda part: part.replace("^", "")), max_size=5).map(
    lambda parts: "^".join(parts).rstrip("^")
)
ROWS = st.builds(ReceivedOrder, TEXT, TEXT, TEXT, NAMES, st.integers(min_value=0, max_value=10**6))


@pytest.mark.parametrize("query", [QUERY, LedgerQuery("Q2", "a|b", "^", 1, pointer=3000)])
def test_a_query_reads_back(query: LedgerQuery) -> None:
    assert parse_query(build_query(query, SENT_AT)) == query


@given(st.lists(ROWS, max_size=5), st.integers(0, 10**6), st.none() | st.integers(1, 10**6))
def test_an_answer_reads_back_whatever_it_holds(orders: list[ReceivedOrder], total: int, pointer: int | None) -> None:
    page = LedgerPage(tuple(orders), total, pointer)
    assert parse_response(build_response(QUERY, page, "R1", SENT_AT)) == page


def test_hl7apy_finds_the_query_valid() -> None:
    message = parse_message(build_query(LedgerQuery("Q1", "tag", "7K3QX0AB", 2, pointer=4), SENT_AT).decode())
    assert message.validate()


def test_python_hl7_reads_the_answer() -> None:
    page = LedgerPage(ORDERS, total=5, pointer=4)
    message = hl7.parse(build_response(QUERY, page, "R1", SENT_AT).decode())
    assert [str(segment[0]) for segment in message] == ["MSH", "MSA", "QAK", "QPD", "RDF", "RDT", "RDT", "DSC"]
    assert str(message["MSH"][0][3]) == RECEIVER
    assert [str(field) for field in message["MSA"][0]] == ["MSA", "AA", "Q1"]
    assert [str(field) for field in message["QAK"][0]] == ["QAK", "tag", "OK", "Z01^YeeterLedger", "5", "2", "1"]
    assert str(message["RDF"][0][1]) == "5"
    assert [description[0][0] for description in message["RDF"][0][2]] == [
        "control_id",
        "accession",
        "patient_id",
        "patient_name",
        "copies",
    ]
    assert str(message["RDT"][0][4]) == "Müller^Änne^^Jr"
    assert str(message["DSC"][0][1]) == "4"


def test_an_answer_is_an_acknowledgement_of_the_query() -> None:
    acknowledgement = parse_ack(build_response(QUERY, LedgerPage((), 0), "R1", SENT_AT))
    assert (acknowledgement.code, acknowledgement.control_id, acknowledgement.sender) == ("AA", "Q1", RECEIVER)


def test_nothing_found_is_said_so() -> None:
    assert b"QAK|tag|NF|" in build_response(QUERY, LedgerPage((), 0), "R1", SENT_AT)


def test_the_limit_is_bounded() -> None:
    assert parse_query(build_query(LedgerQuery("Q1", "tag", "X", limit=10**9), SENT_AT)).limit == MAX_ROWS


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (b"QPD|Z01^YeeterLedger", b"QPD|Q22^Find Candidates", "the only query here is Z01^YeeterLedger"),
        (b"|7K3QX0AB", b"|", "QPD-3 is empty"),
        (b"RCP|I|2^RD", b"RCP|I|many^RD", "RCP-2 is 'many', not a number"),
        (b"RCP|I|2^RD", b"RCP|I|2^RD\rDSC|-1|I", "DSC-1 is '-1', not a number"),
    ],
)
def test_a_query_that_can_not_be_answered_says_why(before: bytes, after: bytes, problem: str) -> None:
    message = build_query(QUERY, SENT_AT)
    assert before in message
    with pytest.raises(ValueError, match=problem.replace("^", r"\^")):
        parse_query(message.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (b"RTB^Z01^RTB_K13", b"ACK^Z01^ACK", "the answer is 'ACK"),
        (b"|1\rRDT", b"\rRDT", "without the columns"),
        (b"|1\rRDT", b"|one\rRDT", "without the columns"),
        (b"|OK|Z01^YeeterLedger|5", b"|OK|Z01^YeeterLedger|five", "QAK-4 is 'five'"),
    ],
)
def test_an_answer_that_is_none_says_why(before: bytes, after: bytes, problem: str) -> None:
    message = build_response(QUERY, LedgerPage(ORDERS, 5, 4), "R1", SENT_AT)
    assert before in message
    with pytest.raises(ValueError, match=problem):
        parse_response(message.replace(before, after))
