"""Part 10 files: what is written is read, by us and by pydicom, and what is no file is refused."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from app.dicom.part10 import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    read_part10,
    write_part10,
)
from app.dicom.study import generate_study
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from tests.unit.dicom_orders import one_of

UIDS = st.from_regex(r"[1-9]\.[1-9][0-9]{0,20}(\.[1-9][0-9]{0,18}){0,2}", fullmatch=True)


def as_file(instance: EncodedInstance) -> bytes:
    return write_part10(instance) + instance.data


def some_instance() -> EncodedInstance:
    return next(iter(generate_study(one_of("CT"))))


@given(UIDS, UIDS, UIDS, st.binary(max_size=300).map(lambda data: b"\x08\x00" + data))
def test_round_trip(sop_class: str, sop_instance: str, transfer_syntax: str, data: bytes) -> None:
    instance = EncodedInstance(sop_class, sop_instance, transfer_syntax, data)
    read = read_part10(as_file(instance))
    assert (read.sop_class_uid, read.sop_instance_uid, read.transfer_syntax_uid) == (
        sop_class,
        sop_instance,
        transfer_syntax,
    )
    assert bytes(read.data) == data


@given(UIDS, UIDS)
def test_the_header_is_the_one_that_pydicom_writes(sop_class: str, sop_instance: str) -> None:
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = UID(EXPLICIT_VR_LITTLE_ENDIAN)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    out = BytesIO()
    write_file_meta_info(out, meta)
    header = write_part10(EncodedInstance(sop_class, sop_instance, EXPLICIT_VR_LITTLE_ENDIAN, b""))
    assert header == bytes(128) + b"DICM" + out.getvalue()


def test_pydicom_reads_the_file() -> None:
    instance = some_instance()
    ds = dcmread(BytesIO(as_file(instance)))
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID == instance.sop_instance_uid
    assert ds.file_meta.MediaStorageSOPClassUID == ds.SOPClassUID == instance.sop_class_uid
    assert ds.file_meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN
    assert ds.pixel_array.shape == (64, 64)
    assert UID(IMPLEMENTATION_CLASS_UID).is_valid
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_reading_does_not_copy_the_data_set() -> None:
    read = read_part10(as_file(some_instance()))
    assert isinstance(read.data, memoryview)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda file: b"", "no DICM"),
        (lambda file: b"HTTP/1.1 400 Bad Request\r\n\r\n", "no DICM"),
        (lambda file: file[132:], "no DICM"),
        (lambda file: file[:132], "no group length"),
        (lambda file: file[:138], "no group length"),
        (lambda file: file[:142], "damaged"),
        (lambda file: file.replace(b"\x02\x00\x02\x00UI", b"\x02\x00\x0f\x00UI"), "lacks (00020002)"),
        (lambda file: file[:140] + b"\x0a" + file[141:], "not as long as it says"),
        (lambda file: file[:200], "ends within"),
        (lambda file: file.replace(b"\x02\x00\x10\x00UI", b"\x02\x00\x11\x00UI"), "lacks (00020010)"),
        (lambda file: file.replace(b"2.25", b"2.\xff5", 1), "damaged"),
    ],
)
def test_what_is_no_part_10_file_is_refused(damage: object, says: str) -> None:
    assert callable(damage)
    with pytest.raises(ValueError, match=says.replace("(", r"\(").replace(")", r"\)")):
        read_part10(damage(as_file(some_instance())))


@given(st.integers(min_value=0, max_value=600))
def test_a_file_cut_anywhere_is_read_or_refused_but_nothing_else(length: int) -> None:
    file = as_file(some_instance())
    try:
        read = read_part10(file[:length])
    except ValueError:
        assert length < len(file) - len(some_instance().data)
    else:
        assert len(read.data) == length - (len(file) - len(some_instance().data))
