"""Studies in a folder: what a disk, its links and its failures may do to them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from app.adapters.study_store.file_system import FileSystemStudyStore
from app.dicom.study import generate_study
from app.domain.errors import InvalidInput, NotFound, TemporaryError, TransportFault
from app.domain.study import EncodedInstance
from app.ports import StudyStore
from tests.contract.stored_studies import RUN, contents, instances
from tests.unit.dicom_orders import one_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet" / "there"


@pytest.fixture
def store(root: Path) -> StudyStore:
    return FileSystemStudyStore(root)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_any_viewer_reads_the_files_of_a_study(store: StudyStore, root: Path) -> None:
    order = one_of("CT", "HEAD", instances=2)
    count, size = store.write(RUN, order.number, generate_study(order))
    written = sorted((root / RUN / str(order.number)).glob("*.dcm"))
    assert [path.name for path in written] == [f"{number:05d}.dcm" for number in range(1, count + 1)]
    assert sum(path.stat().st_size for path in written) == size
    assert dcmread(BytesIO(written[0].read_bytes())).PatientID == order.patient.patient_id


def test_nothing_is_left_of_what_was_replaced_or_removed_or_failed(store: StudyStore, root: Path) -> None:
    def failing() -> Iterator[EncodedInstance]:
        yield from instances(2)
        raise RuntimeError("no more")

    store.write(RUN, 7, instances(5))
    store.write(RUN, 7, instances(2, b"b"))
    with pytest.raises(RuntimeError):
        store.write(RUN, 8, failing())
    assert files(root) == [f"{RUN}/7/.sizes", f"{RUN}/7/00001.dcm", f"{RUN}/7/00002.dcm"]
    store.remove(RUN)
    assert not (root / RUN).exists()


def test_instances_are_taken_one_at_a_time(store: StudyStore, root: Path) -> None:
    """Memory stays flat: the next instance is asked for when the last one is on the disk."""

    def watched() -> Iterator[EncodedInstance]:
        for number, instance in enumerate(instances(5)):
            assert len(list(root.rglob("*.dcm"))) == number
            yield instance

    store.write(RUN, 7, watched())


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


def test_free_bytes_is_known_before_the_folder_is_there(store: StudyStore, root: Path) -> None:
    assert FileSystemStudyStore(root).free_bytes() > 0
    assert not root.exists()
    store.write(RUN, 7, instances(1))
    assert FileSystemStudyStore(root).free_bytes() > 0
