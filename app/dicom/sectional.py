"""CT and MR: series of parallel sections (PS3.3 A.3 and A.4; modules C.7.6.2, C.8.2.1 and C.8.3.1)."""

from __future__ import annotations

from dataclasses import dataclass

from app.dicom.acquisition import SeriesShape, image_pixel
from app.dicom.elements import Attributes
from app.dicom.phantom.noise import Pixels
from app.dicom.phantom.sections import CT_INTERCEPT, Stack
from app.dicom.phantom.tissue import Weighting
from app.dicom.phantom.view import AXIAL, CORONAL, SAGITTAL, View
from app.dicom.text import ds

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
CT_SIZE, MR_SIZE, TINY_SIZE = 512, 256, 64

_THICKEST = 5.0  # mm
_SAGITTAL_BY_HABIT = ("CSPINE", "LSPINE")
# Window centre and width: soft tissue, then lung or bone.
_CT_WINDOWS = {"HEAD": ((40, 80), (600, 2800)), "CHEST": ((40, 400), (-600, 1500))}
_CT_OTHER_WINDOWS = ((50, 400), (500, 2000))


@dataclass(frozen=True, slots=True)
class MrSequence:
    """The parameters of a pulse sequence; times in milliseconds, empty where there is none."""

    weighting: Weighting
    scanning_sequence: tuple[str, ...]
    sequence_variant: tuple[str, ...]
    repetition_time: str
    echo_time: str
    inversion_time: str
    echo_train_length: str
    flip_angle: str


_MR_SEQUENCES = (  # the first whose word is in the series description; the last for all others
    ("FLAIR", MrSequence("FLAIR", ("SE", "IR"), ("SK", "SP"), "9000", "120", "2500", "16", "150")),
    ("T2", MrSequence("T2", ("SE",), ("SK", "SP"), "4500", "98", "", "14", "150")),
    ("ADC", MrSequence("T2", ("EP",), ("SK", "SP"), "5200", "86", "", "1", "90")),
    ("DWI", MrSequence("T2", ("EP",), ("SK", "SP"), "5200", "86", "", "1", "90")),
    ("PD", MrSequence("PD", ("SE",), ("SK", "SP"), "2800", "32", "", "8", "150")),
    ("MPRAGE", MrSequence("T1", ("GR", "IR"), ("SP", "MP"), "2100", "2.5", "1100", "1", "8")),
    ("", MrSequence("T1", ("SE",), ("SK",), "550", "11", "", "1", "90")),
)


class CtSeries:
    sop_class_uid = CT_IMAGE_STORAGE
    seconds_an_image = 0.02

    def __init__(self, shape: SeriesShape) -> None:
        self._shape = shape
        self._stack = _stack(shape, CT_SIZE)

    def attributes(self) -> Attributes:
        windows = _CT_WINDOWS.get(self._shape.body_part, _CT_OTHER_WINDOWS)
        axial = self._stack.view == AXIAL
        diameter = ds(self._stack.pixel_spacing * self._stack.size)
        return {
            **_plane(self._stack),
            **_side(self._shape),
            **image_pixel(self._stack.size, self._stack.size, bits_stored=16),
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"] if axial else ["DERIVED", "SECONDARY", "MPR"],
            "RescaleIntercept": str(CT_INTERCEPT),
            "RescaleSlope": "1",
            "RescaleType": "HU",
            "WindowCenter": [str(centre) for centre, _ in windows],
            "WindowWidth": [str(width) for _, width in windows],
            "KVP": "120",
            "AcquisitionNumber": "1",
            "ScanOptions": "HELICAL",
            "DataCollectionDiameter": "500",
            "ReconstructionDiameter": diameter,
            "GantryDetectorTilt": "0",
            "RotationDirection": "CW",
            "ExposureTime": "500",
            "XRayTubeCurrent": "240",
            "Exposure": "120",
            "FilterType": "BODY",
            "ConvolutionKernel": "SHARP" if "sharp" in self._shape.description else "STANDARD",
        }

    def instance_attributes(self, index: int) -> Attributes:
        return _position(self._stack, index)

    @property
    def size(self) -> tuple[int, int]:
        return self._stack.size, self._stack.size

    def pixels(self, index: int, key: bytes, out: Pixels | None = None) -> Pixels:
        return self._stack.pixels(index, "CT", key, out)


class MrSeries:
    sop_class_uid = MR_IMAGE_STORAGE
    seconds_an_image = 4.0

    def __init__(self, shape: SeriesShape) -> None:
        self._shape = shape
        self._stack = _stack(shape, MR_SIZE)
        self._sequence = next(sequence for word, sequence in _MR_SEQUENCES if word in shape.description)

    def attributes(self) -> Attributes:
        sequence = self._sequence
        attributes = {
            **_plane(self._stack),
            **_side(self._shape),
            **image_pixel(self._stack.size, self._stack.size, bits_stored=12),
            "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
            "ScanningSequence": list(sequence.scanning_sequence),
            "SequenceVariant": list(sequence.sequence_variant),
            "ScanOptions": "",
            "MRAcquisitionType": "2D",
            "RepetitionTime": sequence.repetition_time,
            "EchoTime": sequence.echo_time,
            "EchoTrainLength": sequence.echo_train_length,
            "FlipAngle": sequence.flip_angle,
            "NumberOfAverages": "1",
            "ImagedNucleus": "1H",
            "ImagingFrequency": "63.8739",
            "EchoNumbers": "1",
            "MagneticFieldStrength": "1.5",
            "SpacingBetweenSlices": ds(self._stack.slice_spacing),
            "AcquisitionNumber": "1",
            "WindowCenter": "450",
            "WindowWidth": "900",
        }
        return attributes | ({"InversionTime": sequence.inversion_time} if sequence.inversion_time else {})

    def instance_attributes(self, index: int) -> Attributes:
        return _position(self._stack, index)

    @property
    def size(self) -> tuple[int, int]:
        return self._stack.size, self._stack.size

    def pixels(self, index: int, key: bytes, out: Pixels | None = None) -> Pixels:
        return self._stack.pixels(index, self._sequence.weighting, key, out)


def _stack(shape: SeriesShape, size: int) -> Stack:
    return Stack(
        body_part=shape.body_part,
        right=shape.laterality == "R",
        view=_view(shape),
        size=TINY_SIZE if shape.tiny else size,
        count=shape.instances,
    )


def _view(shape: SeriesShape) -> View:
    description = shape.description.lower()
    if "coronal" in description:
        return CORONAL
    if "sagittal" in description or ("axial" not in description and shape.body_part in _SAGITTAL_BY_HABIT):
        return SAGITTAL
    return AXIAL


def _plane(stack: Stack) -> Attributes:
    spacing = ds(stack.pixel_spacing)
    return {
        "PatientPosition": "HFS",
        "ImageOrientationPatient": [ds(cosine) for cosine in (*stack.view.across.cosines, *stack.view.down.cosines)],
        "PixelSpacing": [spacing, spacing],
        "SliceThickness": ds(min(_THICKEST, stack.slice_spacing)),
        "PositionReferenceIndicator": "",
    }


def _position(stack: Stack, index: int) -> Attributes:
    return {
        "ImagePositionPatient": [ds(coordinate) for coordinate in stack.position(index)],
        "SliceLocation": ds(stack.location(index)),
    }


def _side(shape: SeriesShape) -> Attributes:
    return {"Laterality": shape.laterality} if shape.laterality in ("L", "R") else {}
