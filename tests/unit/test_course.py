"""The course of a run over time: nothing is lost when intervals are merged."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain import event as kinds
from app.domain.event import Event
from app.domain.metrics import Depths
from app.runs.reading.course import COUNTS, FINEST, MOST, CourseFold

STORED = {"type": "SEND_DICOM", "seconds": 0.1, "stored": 3, "bytes": 1000}
SENT = {"type": "GENERATE_HL7", "attempts": 1, "verdict": "accepted"}
HAPPENINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "emitted": (kinds.STEP_SUCCEEDED, SENT),
    "instances": (kinds.STEP_SUCCEEDED, STORED),
    "retried": (kinds.STEP_RETRIED, {}),
    "jobs": (kinds.JOB_FINISHED, {}),
    "completed": (kinds.ORDER_COMPLETED, {}),
    "failed": (kinds.ORDER_FAILED, {}),
    "cancelled": (kinds.ORDER_CANCELLED, {}),
}


class Course(CourseFold):
    """A course, and the depths that it asks for."""

    def __init__(self) -> None:
        super().__init__(lambda: self.depths)
        self.depths = Depths(0, 0, 0)


def happen(course: Course, seconds: float, what: str, queued: int = 0, running: int = 0, workers: int = 0) -> None:
    kind, data = HAPPENINGS[what]
    course.count(seconds, Event("run", kind, 1, data=data))
    course.depths = Depths(queued, running, workers)


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=200_000), st.sampled_from(sorted(HAPPENINGS)))))
def test_everything_is_counted_once_in_the_interval_that_it_happened_in(happenings: list[tuple[float, str]]) -> None:
    course = Course()
    for seconds, what in happenings:
        happen(course, seconds, what)
        course.observe(seconds, "c_store", 0.01)
    intervals = course.intervals()
    assert len(intervals) <= MOST
    assert [each.begins for each in intervals] == [each.seconds * each.number for each in intervals]
    for what in HAPPENINGS:
        times = [seconds for seconds, each in happenings if each == what]
        counted = [getattr(each, what) // (3 if what == "instances" else 1) for each in intervals]
        expected = [sum(each.begins <= time < each.begins + each.seconds for time in times) for each in intervals]
        assert counted == expected
    assert sum(each.latency["c_store"]["count"] for each in intervals if each.latency) == len(happenings)


def test_depths_stay_as_they_were_where_nothing_happened() -> None:
    course = Course()
    happen(course, FINEST * 0.5, "emitted", queued=4)
    happen(course, FINEST * 3.2, "emitted", queued=6, running=2)
    happen(course, FINEST * 3.4, "jobs", queued=5, running=1, workers=1)
    assert [each.queued for each in course.intervals()] == [4, 4, 4, 5]
    assert [each.workers for each in course.intervals()] == [0, 0, 0, 1]


def test_of_merged_intervals_the_later_depths_count_and_latencies_are_not_averaged() -> None:
    course = Course()
    for number in range(2):
        happen(course, number * FINEST, "emitted", queued=number)
    for _ in range(99):
        course.observe(0.0, "hl7_ack", 0.001)
    course.observe(FINEST, "hl7_ack", 1.0)
    course.observe(MOST * FINEST, "hl7_ack", 0.001)
    first = course.intervals()[0]
    assert (first.seconds, first.emitted, first.queued) == (2 * FINEST, 2, 1)
    assert (first.latency["hl7_ack"]["p99"], first.latency["hl7_ack"]["max"]) == (0.001, 1.0)


def test_nothing_happened() -> None:
    assert Course().intervals() == ()
    assert set(HAPPENINGS) | {"acknowledged", "bytes"} == set(COUNTS)


def test_a_course_of_as_many_intervals_as_there_may_be_takes_a_few_megabytes() -> None:
    course, draw = Course(), random.Random(7)
    tracemalloc.start()
    try:
        for number in range(MOST):
            for _ in range(300):
                course.observe((number + draw.random()) * FINEST, "c_store", draw.lognormvariate(-6, 1))
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        course.observe(MOST * FINEST, "c_store", 0.01)  # two intervals become one, and so do all others
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < MOST * 6_000  # bytes; 18,000 if all could be added to without more ado
    assert most < MOST * 9_000
    counts = [interval.latency["c_store"]["count"] for interval in course.intervals()]
    assert counts == [600] * (MOST // 2) + [1]
