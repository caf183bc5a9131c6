"""Planning: what each order of a run says.

``OrderPlanner.order(number)`` is a pure function of the template, seed, run key, base time and number. The seed decides
content, the run key identity (``app.domain.identity``), the base time dates; no order depends on another having been
planned, so a producer that starts again goes on anywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate

from app.domain import identity
from app.domain.draws import Draws
from app.domain.name_pools import name_pool
from app.domain.order import Modality, Order, PersonName, Provider, SeriesPlan, Sex, StudyPlan
from app.domain.patient import Patients
from app.domain.procedures import Procedure, procedures_of
from app.domain.study_shapes import shape_of
from app.domain.template import Template

SECONDS_BETWEEN_ORDERS = 1

_PHYSICIANS = 24  # of each role
_WAITS = (15, 240)  # minutes from order to appointment
_PRIORITIES = ("R",) * 17 + ("A",) * 2 + ("S",)  # routine, as soon as possible, stat
# patient class (PV1-2), point of care (PV1-3), entering organisation (ORC-17)
_ORIGINS = (
    ("I", "WARD3", "Internal Medicine"),
    ("I", "ICU", "Intensive Care Unit"),
    ("O", "CLINIC", "Outpatient Clinic"),
    ("O", "RADREC", "Radiology Reception"),
    ("E", "ED", "Emergency & Acute Medicine"),
)
# Free text of at most 64 characters (LO). Some holds HL7's delimiters, as what people type does; none holds a
# backslash, which divides values in DICOM.
_CLINICAL_INFORMATION = (
    "Persistent cough for three weeks",
    "Fall from standing height",
    "Known hypertension, no prior imaging",
    "Follow-up after treatment",
    "Progressive pain on movement",
    "Weight loss under investigation",
    "Fever & raised inflammatory markers",
    "Leukocytes 14.2 x 10^9/L, CRP rising",
    "Symptoms for ~ 10 days, pain score 6|10",
    "Hx: CABG & AVR; RR 150|95; creatinine ~ 1.4 mg/dl",
)
_REASONS = (
    "Exclude fracture",
    "Suspected infection",
    "Rule out malignancy",
    "Preoperative assessment",
    "Staging",
    "Unexplained pain",
    "Follow-up of known finding",
    "Bleeding? Effusion?",
    "Pain & swelling",
    "Trauma ~ 2 h ago; neuro status R^L",
)
_series = lru_cache(maxsize=4096)(SeriesPlan)  # there are few different ones


class OrderPlanner:
    """Plans the orders of one run, in any order, any number of times."""

    def __init__(self, template: Template, seed: int, run_key: str, base_time: datetime) -> None:
        """``base_time`` is naive local time of the simulated department; fractions of a second are dropped.

        Raises:
            ValueError: base_time carries a time zone.
        """
        if base_time.tzinfo is not None:
            raise ValueError("base_time is local time of the simulated department and carries no time zone")
        self._seed = seed
        self._run_key = run_key
        self._base_time = base_time.replace(microsecond=0)
        self._study = template.study
        self._patients = Patients(template.population, seed, run_key, base_time.date())
        self._modalities = _Mix(template.modalities)
        self._procedures = {name: procedures_of(name, template.study.body_parts) for name in template.modalities}
        self._shapes = {name: shape_of(template.study, name) for name in template.modalities}
        locale = template.population.locales[0]
        self._referring = _physicians(seed, "referring", locale)
        self._ordering = _physicians(seed, "ordering", locale)

    def order(self, number: int) -> Order:
        """The order of this number, counted from 0.

        Raises:
            ValueError: the number is outside what an accession number can hold.
        """
        key = self._run_key
        accession = identity.accession_number(key, number)
        draws = Draws(self._seed, "order", number)
        procedure = draws.pick(self._procedures[self._modalities.draw(draws)])
        patient_class, location, organisation = draws.pick(_ORIGINS)
        ordered_at = self._base_time + timedelta(seconds=number * SECONDS_BETWEEN_ORDERS)
        return Order(
            run_key=key,
            number=number,
            patient=self._patients.of_order(number),
            accession=accession,
            placer=identity.placer_order_number(key, number),
            filler=identity.filler_order_number(key, number),
            control_id=identity.message_control_id(key, number),
            study_uid=identity.study_uid(key, number),
            visit_number=f"V{accession}",
            patient_class=patient_class,
            location=location,
            referring=draws.pick(self._referring),
            ordering=draws.pick(self._ordering),
            procedure=procedure.code,
            protocol=procedure.protocol,
            procedure_id=f"R{accession}",
            step_id=f"S{accession}",
            priority=draws.pick(_PRIORITIES),
            clinical_information=draws.pick(_CLINICAL_INFORMATION),
            reason=draws.pick(_REASONS),
            organisation=organisation,
            ordered_at=ordered_at,
            scheduled_at=ordered_at + timedelta(minutes=draws.between(*_WAITS)),
            study=self._study_plan(draws, procedure),
        )

    def _study_plan(self, draws: Draws, procedure: Procedure) -> StudyPlan:
        shape = self._shapes[procedure.modality]
        names = procedure.series
        fewest, most = shape.instances
        return StudyPlan(
            modality=procedure.modality,
            body_part=procedure.body_part,
            laterality=procedure.laterality,
            description=procedure.code.meaning,
            pixels=self._study.pixels,
            series=tuple(
                [
                    _series(names[index % len(names)], draws.between(fewest, most))
                    for index in range(draws.between(*shape.series))
                ]
            ),
        )


class _Mix:
    """Modalities by weight. They are sorted, because a JSON column loses the order of a template's keys."""

    def __init__(self, weights: dict[Modality, float]) -> None:
        self._names = sorted(weights)
        self._bounds = list(accumulate(weights[name] for name in self._names))

    def draw(self, draws: Draws) -> Modality:
        return self._names[bisect_right(self._bounds, draws.fraction() * self._bounds[-1])]


def _physicians(seed: int, role: str, locale: str) -> tuple[Provider, ...]:
    pool = name_pool(locale)
    physicians = []
    for index in range(_PHYSICIANS):
        draws = Draws(seed, role, index)
        sex: Sex = "M" if draws.chance(0.5) else "F"
        name = PersonName(family=draws.pick(pool.family(sex)), given=draws.pick(pool.given(sex)), prefix="Dr.")
        physicians.append(Provider(id=f"{role[0].upper()}{index + 1:03d}", name=name))
    return tuple(physicians)
