"""The study that answers an order: one encoded instance after the other, the same bytes on any worker.

made once for                          what
------------------------------------   ----------------------------------------------------------------------
all series that are acquired alike     the data set's constant bytes, with holes in between (``splice``)
a position in such a series            the elements of that position, and the pixels where images are tiny
an order, a series, an instance        the elements that it decides (``context``)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache

import numpy as np

from app.dicom.acquisition import Acquisition, SeriesShape
from app.dicom.context import OfStudy, equipment_attributes, instance_attributes, series_attributes, study_elements
from app.dicom.elements import Elements, encode
from app.dicom.phantom.noise import Pixels
from app.dicom.radiographic import CrSeries, DxSeries
from app.dicom.sectional import CtSeries, MrSeries
from app.dicom.splice import Splice
from app.dicom.text import ASCII
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
    of_study = study_elements(order)
    for number, series in enumerate(order.study.series, start=1):
        made = _Series(order, number, of_study)
        for instance in range(1, series.instances + 1):
            yield made.instance(instance)


def generate_header(order: Order, series: int, instance: int) -> bytes:
    """The data set of an instance (both numbers from 1) as in the whole study, but with no pixels in its Pixel Data."""
    return _Series(order, series, study_elements(order)).header(instance)


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


class _Series:
    """The instances of one series; they and it are numbered from 1."""

    def __init__(self, order: Order, number: int, of_study: OfStudy) -> None:
        plan = order.study
        self._order, self._number = order, number
        self._shape = _shape(plan, plan.series[number - 1])
        self._acquisition = _acquisition(plan.modality, self._shape)
        self._started_at = order.scheduled_at + (number - 1) * _BETWEEN_SERIES
        of_series = encode(series_attributes(order, number, self._started_at), of_study.character_set)
        self._elements = of_study.elements | of_series

    def instance(self, instance: int) -> EncodedInstance:
        rows, columns = self._acquisition.size
        uid = self._uid(instance)
        return EncodedInstance(
            sop_class_uid=self._acquisition.sop_class_uid,
            sop_instance_uid=uid,
            transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
            data=self._with_pixels(self._header(instance, uid, rows * columns * 2), instance),
        )

    def header(self, instance: int) -> bytes:
        """The data set of an instance without its pixels."""
        return self._header(instance, self._uid(instance), 0)

    def _uid(self, instance: int) -> str:
        return identity.instance_uid(self._order.run_key, self._order.number, self._number, instance)

    def _header(self, instance: int, uid: str, pixel_bytes: int) -> bytes:
        modality, seconds = self._order.study.modality, self._acquisition.seconds_an_image * (instance - 1)
        own = instance_attributes(uid, instance, self._started_at + timedelta(seconds=seconds))
        self._elements.update(encode(own, ASCII))  # in the place of the instance's before: the tags are the same
        self._elements.update(_of_position(modality, self._shape, instance - 1))
        return _splice(modality, self._shape, tuple(self._elements)).fill(self._elements, pixel_bytes)

    def _with_pixels(self, header: bytes, instance: int) -> bytes | memoryview:
        """The whole data set. Pixels in full size are put where they belong at once: a copy is what takes longest."""
        plan = self._order.study
        key = noise_key(plan, self._number, instance)
        if self._shape.tiny:
            return header + _tiny_pixels(plan.modality, self._shape, instance - 1, key)
        rows, columns = self._acquisition.size
        data = np.empty(len(header) + rows * columns * 2, np.uint8)
        data[: len(header)] = np.frombuffer(header, np.uint8)
        self._acquisition.pixels(instance - 1, key, out=data[len(header) :].view(np.uint16).reshape(rows, columns))
        return data.data.toreadonly()


def _shape(plan: StudyPlan, series: SeriesPlan) -> SeriesShape:
    return SeriesShape(plan.body_part, plan.laterality, series.description, series.instances, plan.pixels == "tiny")


@lru_cache(maxsize=512)
def _acquisition(modality: Modality, shape: SeriesShape) -> Acquisition:
    return _MODALITIES[modality](shape)


@lru_cache(maxsize=512)
def _splice(modality: Modality, shape: SeriesShape, tags: tuple[int, ...]) -> Splice:
    """``tags`` are those of all elements that come for each instance; they are the same for all orders."""
    acquisition = _acquisition(modality, shape)
    equipment = equipment_attributes(modality, shape.body_part)
    constant = {"SOPClassUID": acquisition.sop_class_uid, **equipment, **acquisition.attributes()}
    return Splice(encode(constant, ASCII), tags)


@lru_cache(maxsize=4096)
def _of_position(modality: Modality, shape: SeriesShape, index: int) -> Elements:
    """What the acquisition gives instance ``index`` (from 0) of its own."""
    return encode(_acquisition(modality, shape).instance_attributes(index), ASCII)


@lru_cache(maxsize=1024)
def _tiny_pixels(modality: Modality, shape: SeriesShape, index: int, key: bytes) -> bytes:
    """The pixels of a tiny image, 8 kB; identical examinations look alike."""
    return _acquisition(modality, shape).pixels(index, key).tobytes()
