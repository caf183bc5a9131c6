"""The study store port, over every adapter: a study is there whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.adapters.study_store.file_system import FileSystemStudyStore
from app.adapters.study_store.object_store import ObjectStudyStore
from app.dicom.study import generate_study
from app.domain.errors import InvalidInput, NotFound, TemporaryError
from app.domain.study import EncodedInstance
from app.ports import StudyStore
from tests.contract.stored_studies import RUN, contents, instances
from tests.unit.dicom_orders import one_of


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StudyStore:
    if request.param == "folder":
        return FileSystemStudyStore(tmp_path / "not" / "yet" / "there")
    return ObjectStudyStore(f"s3://{request.getfixturevalue('bucket')}/studies")


def test_what_was_written_is_read_in_order(store: StudyStore) -> None:
    assert store.write(RUN, 7, instances(12))[0] == 12
    assert contents(store) == instances(12)


def test_a_generated_study_round_trips(store: StudyStore) -> None:
    order = one_of("CT", "HEAD", instances=2)
    count, size = store.write(RUN, order.number, generate_study(order))
    assert count == order.study.instances
    assert size > sum(len(instance.data) for instance in generate_study(order))
    assert contents(store, order.number) == list(generate_study(order))


def test_writing_again_replaces(store: StudyStore) -> None:
    store.write(RUN, 7, instances(5))
    store.write(RUN, 7, instances(2, b"b"))
    assert contents(store) == instances(2, b"b")


def test_a_study_that_fails_halfway_leaves_nothing(store: StudyStore) -> None:
    def failing() -> Iterator[EncodedInstance]:
        yield from instances(2)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        store.write(RUN, 7, failing())
    with pytest.raises(NotFound):
        store.read(RUN, 7)


def test_a_failed_replacement_leaves_the_study_as_it_was(store: StudyStore) -> None:
    def failing() -> Iterator[EncodedInstance]:
        yield from instances(2, b"b")
        raise RuntimeError("no more")

    store.write(RUN, 7, instances(3))
    with pytest.raises(RuntimeError):
        store.write(RUN, 7, failing())
    assert contents(store) == instances(3)


def test_a_missing_study_is_told_before_the_first_instance(store: StudyStore) -> None:
    with pytest.raises(NotFound, match="order 7 of run 5f0c-Run"):
        store.read(RUN, 7)
    store.write(RUN, 8, instances(1))
    with pytest.raises(NotFound):
        store.read(RUN, 7)


def test_remove_a_study_or_a_run(store: StudyStore) -> None:
    for number in (7, 77):
        store.write(RUN, number, instances(1))
    store.write("other", 7, instances(1))
    store.remove(RUN, 7)
    with pytest.raises(NotFound):
        store.read(RUN, 7)
    assert contents(store, 77) == instances(1)
    store.remove(RUN)
    with pytest.raises(NotFound):
        store.read(RUN, 77)
    assert len(list(store.read("other", 7))) == 1


def test_removing_what_is_not_there_does_nothing(store: StudyStore) -> None:
    store.remove(RUN)
    store.remove(RUN, 7)
    store.write(RUN, 7, instances(1))
    store.remove(RUN, 8)
    assert contents(store) == instances(1)


@pytest.mark.parametrize("run_id", ["", "..", ".", "a/b", "../x", "a\0b", "x" * 65, "a b", "ä", "a\n", "/etc"])
def test_ids_that_could_lead_elsewhere_are_refused(store: StudyStore, run_id: str) -> None:
    with pytest.raises(InvalidInput):
        store.write(run_id, 7, instances(1))
    with pytest.raises(InvalidInput):
        store.read(run_id, 7)
    with pytest.raises(InvalidInput):
        store.remove(run_id)


def test_negative_order_numbers_are_refused(store: StudyStore) -> None:
    with pytest.raises(InvalidInput):
        store.write(RUN, -1, instances(1))


def test_writers_of_the_same_study_do_not_disturb_each_other(store: StudyStore) -> None:
    """A redelivered job on two workers: the last one wins, and no reader ever sees a mixture."""
    store.write(RUN, 7, instances(4, b"a"))
    start = threading.Barrier(6)

    def write(mark: bytes) -> None:
        start.wait()
        for _ in range(8):
            store.write(RUN, 7, instances(4, mark))

    def read() -> int:
        start.wait()
        whole = 0
        for _ in range(30):
            try:
                assert len({bytes(i.data) for i in store.read(RUN, 7)}) >= 1
                whole += 1
            except (NotFound, TemporaryError):
                continue  # between the two renames
        return whole

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, mark) for mark in (b"a", b"b", b"c", b"d")]
        readers = [pool.submit(read) for _ in range(2)]
        for writer in writers:
            writer.result()
        for reader in readers:
            reader.result()
    assert len({bytes(i.data) for i in store.read(RUN, 7)}) == 1


def test_the_room_that_is_left_is_known_or_nobody_can_tell(store: StudyStore) -> None:
    free = store.free_bytes()
    assert free is None or free > 0
