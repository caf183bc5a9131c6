"""A study on its way: instances encoded for storage and transfer, and what the archive said to them."""

from __future__ import annotations

from typing import Literal

from app.domain.records import record

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"

StoreOutcome = Literal["stored", "warning", "already_there", "out_of_resources", "refused", "failed"]


@record(frozen=True, slots=True)
class EncodedInstance:
    """One composite instance: its data set's bytes in its transfer syntax, without preamble and group 0002."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: bytes | memoryview


@record(frozen=True, slots=True)
class StoreResult:
    """The archive's answer to one C-STORE (PS3.4 annex B.2.3)."""

    sop_instance_uid: str
    status: int
    outcome: StoreOutcome
    seconds: float
    size: int
    comment: str = ""

    @property
    def is_there(self) -> bool:
        """Whether the archive has the instance, whatever it remarked."""
        return self.outcome in ("stored", "warning", "already_there")


@record(frozen=True, slots=True)
class ArchivedStudy:
    """A study as the archive describes it in answer to a query; ``None`` where it did not say."""

    accession: str
    study_uid: str
    patient_id: str
    patient_name: str  # DICOM PN form without trailing carets
    birth_date: str | None  # YYYYMMDD, empty when the patient has none
    sex: str | None
    instances: int | None
    character_set: str = "ISO_IR 192"  # Specific Character Set of the answer: what its text could express


@record(frozen=True, slots=True)
class ReceivedOrder:
    """An order message as the receiver's own ledger has it."""

    control_id: str
    accession: str
    patient_id: str
    patient_name: str  # HL7 XPN form without trailing carets
    copies: int  # how many messages of this control ID it kept
