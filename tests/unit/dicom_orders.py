"""Orders for the tests of app.dicom: every procedure of the catalogue, and patients with every trap."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from io import BytesIO

from pydicom import Dataset, dcmread

from app.dicom.part10 import write_part10
from app.dicom.study import generate_study
from app.domain.order import (
    Code,
    Modality,
    Order,
    Patient,
    PersonName,
    Pixels,
    Provider,
    SeriesPlan,
    StudyPlan,
)
from app.domain.procedures import CATALOGUE, Procedure, procedures_of
from app.domain.study import EncodedInstance
from app.domain.template import LOCALES
from tests.unit.sample_orders import orders

TRAPS = {"missing_birth_date": 0.2, "unknown_sex": 0.2, "suffixes": 0.3, "long_names": 0.2}


def patients(count: int) -> list[Order]:
    """Orders of different patients in all locales, with many traps among them."""
    return orders(count, population={"locales": LOCALES, **TRAPS})


def order_for(procedure: Procedure, pixels: Pixels = "tiny", instances: int = 1, order: Order | None = None) -> Order:
    """An order of a procedure with each of its series once."""
    study = StudyPlan(
        modality=procedure.modality,
        body_part=procedure.body_part,
        laterality=procedure.laterality,
        description=procedure.code.meaning,
        pixels=pixels,
        series=tuple(SeriesPlan(name, instances) for name in procedure.series),
    )
    return replace(order or orders(1)[0], study=study, procedure=procedure.code, protocol=procedure.protocol)


def one_of(modality: Modality, body_part: str = "", **values: object) -> Order:
    """An order of the catalogue's first procedure of a modality (and body part)."""
    return order_for(procedures_of(modality, (body_part,) if body_part else ())[0], **values)  # type: ignore[arg-type]


def written_out(modality: Modality) -> Order:
    """An order that owes nothing to the planner or the catalogue, for bytes that must never change."""
    series = {"CT": ("Axial", "Coronal MPR"), "MR": ("T2 sagittal", "FLAIR axial")}.get(modality, ("PA", "Lateral"))
    return Order(
        run_key="7K3QX0AB",
        number=28,
        patient=Patient(
            patient_id="Y7K3QX0AB0000S",
            issuer="YEETER",
            issuer_uid="2.25.1234567890",
            name=PersonName("Müller", "Änne", "M", suffix="Jr.", prefix="Dr."),
            birth_date=date(1955, 9, 7),
            sex="F",
            allergies="Latex",
            weight_kg=61.5,
            height_m=1.68,
        ),
        accession="7K3QX0AB0000S",
        placer="7K3QX0AB0000SP",
        filler="7K3QX0AB0000SF",
        control_id="7K3QX0AB0000S01",
        study_uid="2.25.99",
        visit_number="V1",
        patient_class="O",
        location="CLINIC",
        referring=Provider("R001", PersonName("House", "Gregory", prefix="Dr.")),
        ordering=Provider("O001", PersonName("Wilson", "James")),
        procedure=Code("P1", "A procedure", "99YEETER"),
        protocol=Code("S1", "A protocol", "99YEETER"),
        procedure_id="R1",
        step_id="S1",
        priority="R",
        clinical_information="Fever & cough",
        reason="Exclude pneumonia",
        organisation="Outpatient Clinic",
        ordered_at=datetime(2026, 1, 5, 8, 0),  # noqa: DTZ001
        scheduled_at=datetime(2026, 1, 5, 9, 39),  # noqa: DTZ001
        study=StudyPlan(
            modality=modality,
            body_part="CHEST" if modality in ("CT", "DX") else "KNEE",
            laterality="" if modality in ("CT", "DX") else "R",
            description="A study",
            pixels="tiny",
            series=tuple(SeriesPlan(name, 3) for name in series),
        ),
    )


def every_procedure() -> list[Order]:
    """One order for each procedure of the catalogue, each for another patient."""
    people = patients(len(CATALOGUE))
    return [order_for(procedure, order=order) for procedure, order in zip(CATALOGUE, people, strict=True)]


def data_set(instance: EncodedInstance) -> Dataset:
    """The instance as pydicom reads it from a file."""
    return dcmread(BytesIO(write_part10(instance) + instance.data))


def data_sets(order: Order) -> list[Dataset]:
    return [data_set(instance) for instance in generate_study(order)]
