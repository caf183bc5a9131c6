"""Instances as file content: preamble and File Meta Information (PS3.10 section 7.1)."""

from __future__ import annotations

import struct

from app.domain.study import EncodedInstance

IMPLEMENTATION_CLASS_UID = "2.25.115413012253207493555511173587545832943"
IMPLEMENTATION_VERSION_NAME = "YEETER_0_1"

_PREAMBLE = bytes(128) + b"DICM"
_GROUP_LENGTH = struct.pack("<HH2sH", 2, 0, b"UL", 4)
_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x00020002, 0x00020003, 0x00020010
_LONG = (b"OB", b"OW", b"UN", b"UT", b"SQ")


def write_part10(instance: EncodedInstance) -> bytes:
    """What comes before the data set in a file: preamble, ``DICM`` and group 0002."""
    group = b"".join(
        (
            struct.pack("<HH2sHI2s", 2, 1, b"OB", 0, 2, b"\0\1"),
            _ui(2, instance.sop_class_uid),
            _ui(3, instance.sop_instance_uid),
            _ui(0x10, instance.transfer_syntax_uid),
            _ui(0x12, IMPLEMENTATION_CLASS_UID),
            _element(0x13, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
        )
    )
    return _PREAMBLE + _GROUP_LENGTH + struct.pack("<I", len(group)) + group


def read_part10(data: bytes) -> EncodedInstance:
    """The instance in a file's content, without a copy and without a look into its data set.

    Raises:
        ValueError: not a Part 10 file; says what is wrong.
    """
    if data[128:132] != b"DICM":
        raise ValueError("not a DICOM file: no DICM after the preamble")
    try:
        uids, end = _file_meta(data)
        return EncodedInstance(
            sop_class_uid=uids[_SOP_CLASS],
            sop_instance_uid=uids[_SOP_INSTANCE],
            transfer_syntax_uid=uids[_TRANSFER_SYNTAX],
            data=memoryview(data)[end:],
        )
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError("not a DICOM file: its file meta information is damaged") from error
    except KeyError as error:
        raise ValueError(f"not a DICOM file: its file meta information lacks ({error.args[0]:08X})") from error


def _file_meta(data: bytes) -> tuple[dict[int, str], int]:
    """The UIDs of group 0002, and where the data set begins."""
    uids, position = {}, 132
    if data[132:140] != _GROUP_LENGTH:
        raise ValueError("not a DICOM file: its file meta information has no group length")
    end = 144 + int(struct.unpack_from("<I", data, 140)[0])
    if end > len(data):
        raise ValueError("not a DICOM file: it ends within its file meta information")
    while position < end:
        group, number, vr, length = struct.unpack_from("<HH2sH", data, position)
        position += 8
        if vr in _LONG:
            (length,) = struct.unpack_from("<I", data, position)
            position += 4
        if vr == b"UI":
            uids[group << 16 | number] = data[position : position + length].rstrip(b"\0 ").decode("ascii")
        position += length
    if position != end:
        raise ValueError("not a DICOM file: its file meta information is not as long as it says")
    return uids, position


def _ui(number: int, uid: str) -> bytes:
    return _element(number, b"UI", uid.encode("ascii"))


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    padded = value + (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", 2, number, vr, len(padded)) + padded
