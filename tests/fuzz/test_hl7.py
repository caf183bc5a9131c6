"""HL7: what is written is what is read, whatever the text; and no message stops whoever reads it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.domain.order import Order, PersonName
from app.domain.template import Hl7
from app.hl7.acknowledgement import CODES, build_ack, parse_ack
from app.hl7.ledger_query import LedgerQuery, build_query, parse_query, parse_response
from app.hl7.orm import OrmRenderer
from app.hl7.parsing import parse_message
from app.hl7.person_name import xpn_text
from app.receivers.mllp.intake import Intake
from app.receivers.mllp.ledger import Ledger
from app.receivers.mllp.lies import Liar, Lies
from app.receivers.mllp.responder import Responder
from app.util.mllp import Deframer, frame
from tests.contract.mllp_orders import RUN_KEY, order
from tests.fuzz.mutations import damaged
from tests.fuzz.profile import examples
from tests.unit.sample_orders import orders

NOW = datetime(2026, 1, 5, tzinfo=UTC)
RENDERER = OrmRenderer(Hl7())
PLANNED = orders(20)

# No half surrogate pairs: no character set has them.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text("|^~\\&\r\n\x0b\x1c\x00FSRTEX0dä漢", max_size=12),
)
names = st.builds(PersonName, texts, texts, texts, prefix=texts, suffix=texts)
queries = st.builds(LedgerQuery, texts, texts, texts.filter(bool), st.integers(1, 1000), st.integers(0, 10**6))


def _responder() -> Responder:
    ledger = Ledger()
    return Responder(ledger, Intake(ledger, Liar(Lies())), lambda: NOW)


def _response() -> bytes:
    """A page of a ledger."""
    responder = _responder()
    for number in range(3):
        responder.respond(order(number).message)
    return responder.respond(build_query(LedgerQuery("Q1", "tag", RUN_KEY), NOW))


HEADERS = [
    b"MSH|^~\\&|A|B|C|D|20260105||ORM^O01|1|T|2.3.1\r",
    b"MSH#*!@%#A#B#C#D#20260105##ORM*O01#1#T#2.5.1######UNICODE UTF-8\r",
    b"MSH|^~\\&|A|B|C|D|20260105||QBP^Z01^QBP_Q13|1|T|2.5.1\rQPD|Z01|t|7K3\rRCP|I|5^RD\r",
]
messages = st.one_of(
    damaged(st.sampled_from([RENDERER.render(one) for one in PLANNED])),
    damaged(st.sampled_from(HEADERS)),
    st.tuples(st.sampled_from(HEADERS), st.binary(max_size=200)).map(b"".join),
    st.binary(max_size=100).map(lambda junk: b"MSH" + junk),
)


@examples(150)
@given(st.sampled_from(PLANNED), names, texts)
def test_an_order_is_read_as_it_was_written_whatever_its_texts(planned: Order, name: PersonName, text: str) -> None:
    patient = replace(planned.patient, name=name)
    message = RENDERER.render(replace(planned, patient=patient, clinical_information=text))
    assert not set(message) & {0x0B, 0x1C, ord("\n")}
    parsed = parse_message(message)
    assert (parsed.control_id, parsed.accession) == (planned.control_id, planned.accession)
    assert parsed.patient_id == planned.patient.patient_id
    assert parsed.patient_name == xpn_text(name)


@examples(100)
@given(queries)
def test_a_query_is_read_as_it_was_written(query: LedgerQuery) -> None:
    assert parse_query(build_query(query, NOW)) == query


@examples(300)
@given(messages)
def test_every_message_has_an_answer_that_its_sender_can_read(message: bytes) -> None:
    """In one frame, an acknowledgement of this very message; or a ValueError, where there is nobody to answer."""
    responder = _responder()
    try:
        answer = responder.respond(message)
    except ValueError:
        return
    assert Deframer().feed(frame(answer)) == [answer]
    acknowledgement = parse_ack(answer)
    assert acknowledgement.code in CODES
    if not set(message) & {0x0B, 0x1C}:  # those are left out of the answer
        assert acknowledgement.control_id == parse_message(message).control_id.strip()


@examples(300)
@given(damaged(st.sampled_from([build_ack(order().message, "AE", "text"), _response(), *HEADERS])))
def test_only_value_error_comes_of_a_damaged_answer(answer: bytes) -> None:
    for read in (parse_ack, parse_query, parse_response):
        with contextlib.suppress(ValueError):
            read(answer)
