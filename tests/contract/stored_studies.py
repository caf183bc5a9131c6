"""Small studies for the study store."""

from __future__ import annotations

from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from app.ports import StudyStore

RUN = "5f0c-Run"


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
