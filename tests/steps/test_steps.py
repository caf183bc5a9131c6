"""What each step does with its tools, and which verdicts it comes to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from app.adapters.study_store.file_system import FileSystemStudyStore
from app.dicom.person_name import to_pn
from app.dicom.study import generate_study
from app.domain.destination import DicomDestination
from app.domain.errors import InvalidInput, NotFound, PermanentError, StepError, TemporaryError, TransportFault
from app.domain.order import Order
from app.domain.study import ArchivedStudy, EncodedInstance, StoreOutcome
from app.ports import Handover, StepContext, Toolbox
from app.steps.registry import StepRegistry
from tests.runs.fakes import FakeArchive
from tests.steps.fakes import FakeStudySender
from tests.unit.sample_orders import orders

DESTINATION = DicomDestination(aet="ARCHIVE", host="127.0.0.1", port=104)


class Bench:
    """The steps with a real store and a fake archive."""

    def __init__(self, folder: Path) -> None:
        self.sender = FakeStudySender()
        self.archive = FakeArchive()
        self.studies = FileSystemStudyStore(folder)
        self.registry = StepRegistry(Toolbox(self.studies, self.sender, self.archive))
        [self.order] = orders(1, modalities={"CT": 1}, study={"preset": "compact", "pixels": "tiny"})

    def run(self, type_: str, earlier_unknown: bool = False, **parameters: object):  # type: ignore[no-untyped-def]
        return self.registry.step(type_).run(self.context(parameters, earlier_unknown=earlier_unknown))

    def context(self, parameters: dict[str, object], **more: Any) -> StepContext:
        return StepContext("run-1", self.order, parameters, DESTINATION, time.monotonic() + 5, **more)

    def kept(self) -> list[EncodedInstance]:
        return list(self.studies.read("run-1", self.order.number))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def uids(order: Order) -> list[str]:
    return [instance.sop_instance_uid for instance in generate_study(order)]


def test_generate_puts_the_study_into_the_store(bench: Bench) -> None:
    result = bench.run("GENERATE_DICOM")
    kept = list(bench.studies.read("run-1", bench.order.number))
    assert [instance.sop_instance_uid for instance in kept] == uids(bench.order)
    assert result.data["instances"] == len(kept)
    assert result.data["bytes"] > sum(len(instance.data) for instance in kept)  # as files, with their headers


def test_send_stores_what_the_store_has(bench: Bench) -> None:
    bench.run("GENERATE_DICOM")
    result = bench.run("SEND_DICOM")
    assert bench.sender.stored == uids(bench.order)
    assert result.instances_stored == result.data["stored"] == len(result.data["c_store"]) == len(uids(bench.order))


def test_a_small_study_goes_from_step_to_step_in_memory(bench: Bench) -> None:
    handover = Handover()
    generate, send = bench.registry.step("GENERATE_DICOM"), bench.registry.step("SEND_DICOM")
    result = generate.run(bench.context({}, handover=handover, following=("SEND_DICOM", "VERIFY")))
    assert result.data == {
        "instances": len(uids(bench.order)),
        "bytes": sum(len(each.data) for each in generate_study(bench.order)),
    }
    assert list(handover.study) == list(generate_study(bench.order))
    with pytest.raises(NotFound):
        bench.kept()
    assert send.run(bench.context({}, handover=handover)).instances_stored == len(handover.study)
    assert bench.sender.stored == uids(bench.order)


@pytest.mark.parametrize(
    ("following", "parameters"),
    [
        ((), {}),  # the sending step is another job's
        (("VERIFY", "SEND_DICOM"), {}),
        (("SEND_DICOM", "LOOK_AT_STUDY"), {}),  # somebody's own step, which may read the store
        (("SEND_DICOM",), {"through_store": True}),
    ],
)
def test_where_somebody_else_may_want_it_a_study_goes_into_the_store(
    bench: Bench, following: tuple[str, ...], parameters: dict[str, object]
) -> None:
    context = bench.context(parameters, following=following)
    bench.registry.step("GENERATE_DICOM").run(context)
    assert not context.handover.study
    assert [each.sop_instance_uid for each in bench.kept()] == uids(bench.order)


def test_a_study_that_is_too_large_for_memory_goes_into_the_store(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    shapes = {"CT": {"series": [1, 1], "instances": [40, 40]}}  # 21 MB
    [bench.order] = orders(1, modalities={"CT": 1}, study={"pixels": "full", "shapes": shapes})
    context = bench.context({}, following=("SEND_DICOM",))
    bench.registry.step("GENERATE_DICOM").run(context)
    assert not context.handover.study
    assert len(bench.kept()) == 40


def test_generate_refuses_parameters_it_does_not_know(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match="through_store"):
        bench.registry.step("GENERATE_DICOM").check({"through_store": "sometimes"})


def test_send_makes_the_study_again_where_the_store_does_not_have_it(bench: Bench) -> None:
    assert bench.run("SEND_DICOM").instances_stored == len(uids(bench.order))
    assert bench.sender.stored == uids(bench.order)


@pytest.mark.parametrize(
    ("outcome", "figure"), [("stored", "stored"), ("warning", "warnings"), ("already_there", "already_there")]
)
def test_what_the_archive_has_counts_as_stored(bench: Bench, outcome: StoreOutcome, figure: str) -> None:
    bench.sender.outcome = outcome
    result = bench.run("SEND_DICOM")
    assert result.data[figure] == result.data["stored"] == result.instances_stored


def test_what_an_earlier_start_may_have_stored_is_no_copy(bench: Bench) -> None:
    bench.sender.outcome = "already_there"
    result = bench.run("SEND_DICOM", earlier_unknown=True)
    assert (result.data["already_there"], result.data["stored"]) == (0, result.instances_stored)


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        (["stored", "failed", "out_of_resources", "refused"], PermanentError),
        (["stored", "failed", "out_of_resources"], TransportFault),
        (["stored", "failed"], TemporaryError),
    ],
)
def test_of_several_refusals_the_gravest_decides(
    bench: Bench, outcomes: list[StoreOutcome], error: type[StepError]
) -> None:
    [bench.order] = orders(1, modalities={"CT": 1}, study={"shapes": {"CT": {"instances": [4, 4]}}, "pixels": "tiny"})
    bench.sender.outcomes = outcomes
    with pytest.raises(error, match=f"refused {len(outcomes) - 1} of 4"):
        bench.run("SEND_DICOM")


@pytest.mark.parametrize(
    ("outcome", "status", "error"),
    [
        ("refused", 0xA900, PermanentError),
        ("failed", 0xC000, TemporaryError),
        ("out_of_resources", 0xA700, TransportFault),
    ],
)
def test_a_refused_instance_fails_the_step_with_its_status(
    bench: Bench, outcome: StoreOutcome, status: int, error: type[StepError]
) -> None:
    bench.sender.outcome, bench.sender.status, bench.sender.comment = outcome, status, "disk on fire"
    with pytest.raises(error, match=f"0x{status:04X} disk on fire"):
        bench.run("SEND_DICOM")


def in_archive(order: Order, **changes: object) -> ArchivedStudy:
    patient = order.patient
    values: dict[str, object] = {
        "accession": order.accession,
        "study_uid": order.study_uid,
        "patient_id": patient.patient_id,
        "patient_name": to_pn(patient.name),
        "birth_date": patient.birth_date.strftime("%Y%m%d") if patient.birth_date else "",
        "sex": patient.sex,
        "instances": order.study.instances,
    }
    return ArchivedStudy(**(values | changes))  # type: ignore[arg-type]


def test_verify_finds_the_study(bench: Bench) -> None:
    bench.archive.found = [in_archive(bench.order)]
    assert bench.run("VERIFY").data == {"found": 1}


def test_verify_asks_again_until_its_time_is_over(bench: Bench) -> None:
    bench.archive.found = []
    with pytest.raises(TemporaryError, match="has 0 studies"):
        bench.run("VERIFY", within=0.6)
    assert bench.archive.asked == 2


@pytest.mark.parametrize(
    ("changes", "words"), [({"instances": 0}, "number of instances"), ({"patient_id": "X"}, "Patient ID")]
)
def test_verify_tells_what_differs(bench: Bench, changes: dict[str, object], words: str) -> None:
    bench.archive.found = [in_archive(bench.order, **changes)]
    with pytest.raises(TemporaryError, match=words):
        bench.run("VERIFY", within=0)


def test_verify_has_no_verdict_of_an_archive_that_is_away(bench: Bench) -> None:
    bench.archive.down = "connection refused"
    with pytest.raises(TransportFault, match="connection refused"):
        bench.run("VERIFY")


def test_verify_needs_an_archive_that_can_be_asked(bench: Bench) -> None:
    with pytest.raises(PermanentError, match="remove the VERIFY step"):
        bench.run("VERIFY")


def test_wait_says_how_long_and_does_not_sleep(bench: Bench) -> None:
    before = time.monotonic()
    assert bench.run("WAIT", seconds=3600).wait_seconds == 3600
    assert time.monotonic() - before < 60
