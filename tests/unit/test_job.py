"""The job message: what comes back is what went out, and anything else is refused, whatever it is."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from app.domain.job import Job, SlipEntry, decode_job, encode_job
from app.domain.retry import RetryPolicy

JOB = Job(
    id="job",
    run_id="0b7e3c52-3a0e-4a3f-9d57-0c7f5a3f6c11",
    run_key="7K3QX0AB",
    order_number=3,
    epoch=0,
    slip=(SlipEntry(1, "GENERATE_DICOM", "jobs", {}, 60.0), SlipEntry(2, "SEND_DICOM", "jobs", {}, 60.0)),
    patient_context={"name": "MÜLLER^ÄNNE"},
    order_context={},
    dicom={},
    template={},
)


def test_a_job_survives_its_message() -> None:
    assert decode_job(encode_job(JOB)) == JOB


def test_a_message_carries_every_value_of_the_routing_slip() -> None:
    slip = (SlipEntry(1, "WAIT", "jobs", {"seconds": 2}, 60.0, RetryPolicy(5, 2.0, 3.0, 100.0, 60.0)), *JOB.slip)
    found = json.loads(encode_job(replace(JOB, slip=slip)))["data"]["routing_slip"]
    assert found == [asdict(entry) for entry in slip]


ODD_PARAMETERS = {
    "integers": [2**64, -(2**63) - 1, 2**63],
    "numbers": [1, 1.0, 1e16, 5e-324],
    "text": ["\x00", "\\u0000", "\u2028", "NaN"],
    "levels": json.loads("[" * 300 + "]" * 300),
}


def test_parameters_come_back_as_they_went_whatever_they_are() -> None:
    slip = (SlipEntry(1, "OURS", "jobs", ODD_PARAMETERS, 60.0),)
    [found] = decode_job(encode_job(replace(JOB, slip=slip))).slip
    assert repr(found.parameters) == repr(ODD_PARAMETERS)


def test_a_message_that_another_writer_spelled_is_the_same_job() -> None:
    document = json.loads(encode_job(JOB))
    for body in (json.dumps(document), json.dumps(document, ensure_ascii=False), json.dumps(document, indent="\t")):
        assert decode_job(body.encode()) == decode_job(body.encode("utf-16")) == JOB


def test_a_job_whose_text_is_no_text_has_no_message() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_job(replace(JOB, order_context={"placer": "\ud800"}))


def test_its_trace_context_is_the_extension_attribute_of_its_event() -> None:
    context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    job = replace(JOB, traceparent=context)
    assert json.loads(encode_job(job))["traceparent"] == context
    assert decode_job(encode_job(job)) == job and job.continued_at(1).traceparent == context
    assert "traceparent" not in json.loads(encode_job(JOB))


@pytest.mark.parametrize("context", ["", "of somebody else", "\ud800", None, {"trace": 1}, 7])
def test_a_trace_context_that_is_none_is_no_reason_to_refuse_a_job(context: object) -> None:
    document = json.loads(encode_job(JOB)) | {"traceparent": context}
    assert decode_job(json.dumps(document).encode()) == JOB


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("run_id", "no-such-run"),
        ("run_id", 7),
        ("order_number", "3"),
        ("order_number", 2**31),
        ("order_number", -1),
        ("epoch", None),
        ("routing_slip.0.index", 1.5),
        ("routing_slip", []),
        ("routing_slip", {"index": 1}),
        ("routing_slip.0.type", ["SEND_DICOM"]),
        ("routing_slip.0.queue", None),
        ("routing_slip.0.parameters", []),
        ("routing_slip.0.timeout", "60"),
        ("routing_slip.0.retry.max_attempts", "3"),
        ("routing_slip.0.retry.often", 3),
        ("routing_slip.0.retry", None),
        ("unheard_of", 1),
    ],
)
def test_values_that_no_job_has_are_refused(path: str, value: object) -> None:
    document = json.loads(encode_job(JOB))
    place: Any = document["data"]
    *parents, last = path.split(".")
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[last] = value
    with pytest.raises(ValueError):
        decode_job(json.dumps(document).encode())


@pytest.mark.parametrize(
    "body", [b"", b"{not json", b"[]", b"null", b"\xff\xfe", b"{}", b"[" * 100_000, b'"\xed\xa0\x80"', b"NaN"]
)
def test_what_is_no_job_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        decode_job(body)
