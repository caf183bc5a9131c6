"""The study store port: a study is there whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from app.adapters.study_store.file_system import FileSystemStudyStore
from app.dicom.study import generate_study
from app.domain.errors import InvalidInput, NotFound, TemporaryError, TransportFault
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from app.ports import StudyStore
from tests.unit.dicom_orders import one_of

RUN = "5f0c-Run"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet" / "there"


@pytest.fixture
def store(root: Path) -> StudyStore:
    return FileSystemStudyStore(root)


def instances(count: int, mark: bytes = b"a") -> list[EncodedInstance]:
    return [
        EncodedInstance(
            "1.2.840.10008.5.1.4.1.1.2", f"2.25.{number}", EXPLICIT_VR_LITTLE_ENDIAN, b"\x08\0" + mark * 100
        )
        for number in range(1, count + 1)
    ]


def contents(store: StudyStore, number: int = 7) -> list[EncodedInstance]:
    return [
        EncodedInstance(i.sop_class_uid, i.sop_instance_uid, i.transfer_syntax_uid, bytes(i.data))
        for i in store.read(RUN, number)
    ]


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_was_written_is_read_in_order(store: StudyStore) -> None:
    assert store.write(RUN, 7, instances(12))[0] == 12
    assert contents(store) == instances(12)


def test_a_generated_study_round_trips_and_any_viewer_reads_it(store: StudyStore, root: Path) -> None:
    order = one_of("CT", "HEAD", instances=2)
    count, size = store.write(RUN, order.number, generate_study(order))
    assert count == order.study.instances
    assert contents(store, order.number) == list(generate_study(order))
    written = sorted((root / RUN / str(order.number)).glob("*.dcm"))
    assert [path.name for path in written] == [f"{number:05d}.dcm" for number in range(1, count + 1)]
    assert sum(path.stat().st_size for path in written) == size
    assert dcmread(BytesIO(written[0].read_bytes())).PatientID == order.patient.patient_id


def test_instances_are_taken_one_at_a_time(store: StudyStore, root: Path) -> None:
    """Memory stays flat: the next instance is asked for when the last one is on the disk."""

    def watched() -> Iterator[EncodedInstance]:
        for number, instance in enumerate(instances(5)):
            assert len(list(root.rglob("*.dcm"))) == number
            yield instance

    store.write(RUN, 7, watched())


def test_writing_again_replaces(store: StudyStore, root: Path) -> None:
    store.write(RUN, 7, instances(5))
    store.write(RUN, 7, instances(2, b"b"))
    assert contents(store) == instances(2, b"b")
    assert files(root) == [f"{RUN}/7/.sizes", f"{RUN}/7/00001.dcm", f"{RUN}/7/00002.dcm"]


def test_a_study_that_fails_halfway_leaves_nothing(store: StudyStore, root: Path) -> None:
    def failing() -> Iterator[EncodedInstance]:
        yield from instances(2)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        store.write(RUN, 7, failing())
    assert files(root) == []
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


def test_remove_a_study_or_a_run(store: StudyStore, root: Path) -> None:
    for number in (7, 77):
        store.write(RUN, number, instances(1))
    store.write("other", 7, instances(1))
    store.remove(RUN, 7)
    with pytest.raises(NotFound):
        store.read(RUN, 7)
    assert contents(store, 77) == instances(1)
    store.remove(RUN)
    assert not (root / RUN).exists()
    assert len(list(store.read("other", 7))) == 1


def test_removing_what_is_not_there_does_nothing(store: StudyStore) -> None:
    store.remove(RUN)
    store.remove(RUN, 7)
    store.write(RUN, 7, instances(1))
    store.remove(RUN, 8)
    assert contents(store) == instances(1)


def test_leftovers_of_dead_processes_do_no_harm_and_go_with_their_run(store: StudyStore, root: Path) -> None:
    for kind in ("partial", "replaced"):
        leftover = root / RUN / f".7.dead.{kind}"
        leftover.mkdir(parents=True)
        (leftover / "00001.dcm").write_bytes(b"half")
    with pytest.raises(NotFound):
        store.read(RUN, 7)
    store.write(RUN, 7, instances(2))
    assert contents(store) == instances(2)
    store.remove(RUN, 7)
    with pytest.raises(NotFound):
        store.read(RUN, 7)
    store.remove(RUN)
    assert files(root) == []


@pytest.mark.parametrize("damage", ["truncated", "lost", "no sizes", "empty sizes", "odd sizes", "not a folder"])
def test_a_study_damaged_by_a_power_failure_is_not_found(store: StudyStore, root: Path, damage: str) -> None:
    store.write(RUN, 7, instances(3))
    place = root / RUN / "7"
    if damage == "truncated":
        os.truncate(place / "00002.dcm", 10)
    elif damage == "lost":
        (place / "00002.dcm").unlink()
    elif damage == "no sizes":
        (place / ".sizes").unlink()
    elif damage == "empty sizes":
        (place / ".sizes").write_text("")
    elif damage == "odd sizes":
        (place / ".sizes").write_bytes(b"\xff\xfe x")
    else:
        store.remove(RUN, 7)
        place.write_text("x")
    with pytest.raises(NotFound):
        store.read(RUN, 7)


def test_a_study_removed_while_it_is_read_is_a_temporary_error(store: StudyStore) -> None:
    store.write(RUN, 7, instances(3))
    reading = iter(store.read(RUN, 7))
    next(reading)
    store.remove(RUN, 7)
    with pytest.raises(TemporaryError):
        list(reading)


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


def test_a_link_that_leads_out_of_the_store_is_refused(store: StudyStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "7").mkdir(parents=True)
    (outside / "7" / "precious").write_text("x")
    root.mkdir(parents=True)
    (root / RUN).symlink_to(outside)
    for action in (lambda: store.write(RUN, 7, instances(1)), lambda: store.read(RUN, 7), lambda: store.remove(RUN)):
        with pytest.raises(InvalidInput):
            action()
    assert (outside / "7" / "precious").exists()


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "studies").symlink_to(tmp_path / "disk")
    store = FileSystemStudyStore(tmp_path / "studies")
    store.write(RUN, 7, instances(1))
    assert contents(store) == instances(1)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_temporary_error_and_leaves_nothing(store: StudyStore, root: Path, code: int) -> None:
    def until_full() -> Iterator[EncodedInstance]:
        yield from instances(2)
        raise OSError(code, os.strerror(code))

    with pytest.raises(TransportFault, match=r"disk of the study store .* is full"):
        store.write(RUN, 7, until_full())
    assert files(root) == []


def test_a_really_full_disk_is_a_temporary_error(root: Path) -> None:
    """/dev/full answers every write as a full disk does."""
    run = root / RUN
    store = FileSystemStudyStore(root)

    def onto_full_device() -> Iterator[EncodedInstance]:
        (partial,) = run.glob(".7.*.partial")
        (partial / "00001.dcm").symlink_to("/dev/full")
        yield from instances(1)

    with pytest.raises(TransportFault, match="is full"):
        store.write(RUN, 7, onto_full_device())
    assert files(root) == []


def test_a_store_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TransportFault, match="can't be written: Not a directory"):
        FileSystemStudyStore(tmp_path / "file").write(RUN, 7, instances(1))


def test_writers_of_the_same_study_do_not_disturb_each_other(store: StudyStore, root: Path) -> None:
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
    assert len(files(root)) == 5


def test_free_bytes_is_known_before_the_folder_is_there(store: StudyStore, root: Path) -> None:
    assert store.free_bytes() > 0
    assert not root.exists()
    store.write(RUN, 7, instances(1))
    assert store.free_bytes() > 0
