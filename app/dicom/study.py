"""The study that answers an order: one encoded instance after the other, the same bytes on any worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache

from app.dicom.acquisition import Acquisition, SeriesShape
from app.dicom.context import instance_attributes, series_attributes, study_attributes
from app.dicom.elements import Elements, encode, needed_character_set
from app.dicom.radiographic import CrSeries, DxSeries
from app.dicom.sectional import CtSeries, MrSeries
from app.dicom.splice import Splice
from app.domain import identity
from app.domain.order import Modality, Order, SeriesPlan, StudyPlan
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, EncodedInstance

_BETWEEN_SERIES = timedelta(minutes=2)
_MODALITIES: dict[Modality, Callable[[SeriesShape], Acquisition]] = {
    "CT": CtSeries,
    "MR": MrSeries,
    "CR": CrSeries,
    "DX": DxSeries,
}


def generate_study(order: Order) -> Iterator[EncodedInstance]:
    """The order's instances in Explicit VR Little Endian, series by series; made one at a time, so memory stays flat.

    Identity comes from the order (patient, accession number, UIDs); the pixels from the study's description, modality
    and position, so that two patients' identical examinations look alike and a repetition is byte for byte the same.
    """
    attributes = dict(study_attributes(order))
    character_set = needed_character_set(
        attributes | {"SeriesDescription": [series.description for series in order.study.series]}
    )
    if character_set:
        attributes["SpecificCharacterSet"] = character_set
    elements = encode(attributes, character_set)
    for number in range(1, len(order.study.series) + 1):
        yield from _series(order, number, elements, character_set)


def acquisition_of(plan: StudyPlan, series: SeriesPlan) -> Acquisition:
    """How a series of the study is acquired."""
    return _acquisition(plan.modality, _shape(plan, series))


def noise_key(plan: StudyPlan, series: int, instance: int) -> bytes:
    """What the noise of an instance depends on."""
    name = f"{plan.description}/{plan.modality}/{series}/{instance}"
    return hashlib.sha256(name.encode()).digest()


def _series(order: Order, number: int, of_study: Elements, character_set: str) -> Iterator[EncodedInstance]:
    plan, series = order.study, order.study.series[number - 1]
    acquisition = acquisition_of(plan, series)
    started_at = order.scheduled_at + (number - 1) * _BETWEEN_SERIES
    of_series = encode(series_attributes(order, number, started_at), character_set)
    constant = {**of_study, **_constant(plan.modality, _shape(plan, series)), **of_series}

    def own(instance: int, uid: str) -> Elements:
        acquired_at = started_at + timedelta(seconds=acquisition.seconds_an_image * (instance - 1))
        attributes = instance_attributes(uid, instance, acquired_at)
        return encode({**attributes, **acquisition.instance_attributes(instance - 1)}, character_set)

    splice = Splice(constant, changing=own(1, order.study_uid))
    for instance in range(1, series.instances + 1):
        uid = identity.instance_uid(order.run_key, order.number, number, instance)
        pixels = acquisition.pixels(instance - 1, noise_key(plan, number, instance))
        yield EncodedInstance(
            sop_class_uid=acquisition.sop_class_uid,
            sop_instance_uid=uid,
            transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
            data=splice.fill(own(instance, uid), pixels),
        )


def _shape(plan: StudyPlan, series: SeriesPlan) -> SeriesShape:
    return SeriesShape(
        body_part=plan.body_part,
        laterality=plan.laterality,
        description=series.description,
        count=series.instances,
        tiny=plan.pixels == "tiny",
    )


@lru_cache(maxsize=512)
def _acquisition(modality: Modality, shape: SeriesShape) -> Acquisition:
    return _MODALITIES[modality](shape)


@lru_cache(maxsize=512)
def _constant(modality: Modality, shape: SeriesShape) -> Elements:
    acquisition = _acquisition(modality, shape)
    return encode({"SOPClassUID": acquisition.sop_class_uid, **acquisition.attributes()}, "")
