"""The study that answers an order: one encoded instance after the other, the same bytes on any worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache

import numpy as np

from app.dicom.acquisition import Acquisition, SeriesShape
from app.dicom.context import instance_attributes, series_attributes, study_attributes
from app.dicom.elements import Elements, encode, needed_character_set
from app.dicom.phantom.noise import Pixels
from app.dicom.radiographic import CrSeries, DxSeries
from app.dicom.sectional import CtSeries, MrSeries
from app.dicom.splice import Splice
from app.domain import identity
from app.domain.order import Modality, Order, SeriesPlan, StudyPlan
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, EncodedInstance

_BETWEEN_SERIES = timedelta(minutes=2)
_NO_PIXELS: Pixels = np.zeros((0, 0), np.uint16)
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
    of_study, character_set = _of_study(order)
    for number, series in enumerate(order.study.series, start=1):
        made = _Series(order, number, of_study, character_set)
        for instance in range(1, series.instances + 1):
            pixels = made.acquisition.pixels(instance - 1, noise_key(order.study, number, instance))
            yield made.instance(instance, pixels)


def generate_header(order: Order, series: int, instance: int) -> bytes:
    """The data set of an instance (both numbers from 1) as in the whole study, but with no pixels in its Pixel Data."""
    return bytes(_Series(order, series, *_of_study(order)).instance(instance, _NO_PIXELS).data)


def acquisition_of(plan: StudyPlan, series: SeriesPlan) -> Acquisition:
    """How a series of the study is acquired."""
    return _acquisition(plan.modality, _shape(plan, series))


def instance_pixels(plan: StudyPlan, series: int, instance: int) -> Pixels:
    """The stored values of an instance as (rows, columns); both numbers from 1."""
    acquisition = acquisition_of(plan, plan.series[series - 1])
    return acquisition.pixels(instance - 1, noise_key(plan, series, instance))


def noise_key(plan: StudyPlan, series: int, instance: int) -> bytes:
    """What the noise of an instance depends on."""
    name = f"{plan.description}/{plan.modality}/{series}/{instance}"
    return hashlib.sha256(name.encode()).digest()


def _of_study(order: Order) -> tuple[Elements, str]:
    """What is the same in every instance, and the character set of all of them."""
    attributes = dict(study_attributes(order))
    character_set = needed_character_set(
        attributes | {"SeriesDescription": [series.description for series in order.study.series]}
    )
    if character_set:
        attributes["SpecificCharacterSet"] = character_set
    return encode(attributes, character_set), character_set


class _Series:
    """What the instances of one series (numbered from 1) have in common, encoded once."""

    def __init__(self, order: Order, number: int, of_study: Elements, character_set: str) -> None:
        plan, series = order.study, order.study.series[number - 1]
        self._order, self._number, self._character_set = order, number, character_set
        self.acquisition = acquisition_of(plan, series)
        self._started_at = order.scheduled_at + (number - 1) * _BETWEEN_SERIES
        of_series = encode(series_attributes(order, number, self._started_at), character_set)
        constant = {**of_study, **_constant(plan.modality, _shape(plan, series)), **of_series}
        self._splice = Splice(constant, changing=self._own(1, order.study_uid))

    def instance(self, instance: int, pixels: Pixels) -> EncodedInstance:
        """Instance ``instance`` (from 1) with these pixels."""
        uid = identity.instance_uid(self._order.run_key, self._order.number, self._number, instance)
        return EncodedInstance(
            sop_class_uid=self.acquisition.sop_class_uid,
            sop_instance_uid=uid,
            transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
            data=self._splice.fill(self._own(instance, uid), pixels),
        )

    def _own(self, instance: int, uid: str) -> Elements:
        """The elements of its own that an instance has."""
        acquired_at = self._started_at + timedelta(seconds=self.acquisition.seconds_an_image * (instance - 1))
        attributes = instance_attributes(uid, instance, acquired_at)
        return encode({**attributes, **self.acquisition.instance_attributes(instance - 1)}, self._character_set)


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
