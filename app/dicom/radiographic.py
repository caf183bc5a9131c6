"""CR and DX: projection radiographs (PS3.3 A.2 and A.26; modules C.8.1 and C.8.11)."""

from __future__ import annotations

from app.dicom.acquisition import SeriesShape, image_pixel
from app.dicom.codes import ANATOMIC_REGIONS, VIEWS, code_item
from app.dicom.elements import Attributes
from app.dicom.phantom.noise import Pixels
from app.dicom.phantom.radiograph import Projection
from app.dicom.text import ds

CR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.1"
DX_IMAGE_STORAGE_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"

_POSITIONS = (  # the first whose word is in the series description
    ("decubitus", "LLD"),
    ("oblique", "LLO"),
    ("lateral", "LL"),
    ("pa", "PA"),
    ("ap", "AP"),
)


class _Radiograph:
    seconds_an_image = 30.0

    def __init__(self, shape: SeriesShape) -> None:
        self._shape = shape
        self._position = _view_position(shape)
        self._projection = Projection(shape.body_part, shape.laterality == "R", self._position, shape.tiny)

    def instance_attributes(self, index: int) -> Attributes:
        return {}

    @property
    def size(self) -> tuple[int, int]:
        return self._projection.rows, self._projection.columns

    def pixels(self, index: int, key: bytes, out: Pixels | None = None) -> Pixels:
        return self._projection.pixels(key, out)

    def _image(self) -> Attributes:
        projection, view = self._projection, self._projection.view
        centre, width = projection.window
        spacing = ds(projection.pixel_spacing)
        return {
            **image_pixel(projection.rows, projection.columns, bits_stored=12),
            "ImageType": ["ORIGINAL", "PRIMARY"],
            "PatientOrientation": [view.across.letter, view.down.letter],
            "ImagerPixelSpacing": [spacing, spacing],
            "ViewPosition": self._position,
            "WindowCenter": str(centre),
            "WindowWidth": str(width),
            "KVP": "125" if self._shape.body_part == "CHEST" else "70",
            "ExposureTime": "12",
            "XRayTubeCurrent": "320",
            "Exposure": "4",
            "AcquisitionNumber": "1",
        }


class CrSeries(_Radiograph):
    sop_class_uid = CR_IMAGE_STORAGE

    def attributes(self) -> Attributes:
        side = {"ImageLaterality": self._shape.laterality} if self._shape.laterality else {}
        return {**self._image(), **side, "PlateType": "35 X 43 CM", "CassetteOrientation": "PORTRAIT"}


class DxSeries(_Radiograph):
    sop_class_uid = DX_IMAGE_STORAGE_FOR_PRESENTATION

    def attributes(self) -> Attributes:
        region = ANATOMIC_REGIONS.get(self._shape.body_part)
        return {
            **self._image(),
            "PresentationIntentType": "FOR PRESENTATION",
            "ImageLaterality": self._shape.laterality or "U",
            "AnatomicRegionSequence": [code_item(region)] if region else [],
            "PixelIntensityRelationship": "LOG",
            "PixelIntensityRelationshipSign": -1,
            "RescaleIntercept": "0",
            "RescaleSlope": "1",
            "RescaleType": "US",
            "PresentationLUTShape": "IDENTITY",
            "LossyImageCompression": "00",
            "BurnedInAnnotation": "NO",
            "PositionerType": "COLUMN",
            "DetectorType": "SCINTILLATOR",
            "DetectorConfiguration": "AREA",
            "DetectorActiveShape": "RECTANGLE",
            "AcquisitionContextSequence": [],
            "ViewCodeSequence": [code_item(VIEWS[self._position])],
        }


def _view_position(shape: SeriesShape) -> str:
    """View Position (0018,5101) from what the series is called."""
    description = shape.description.lower()
    words = description.split()
    found = next((term for word, term in _POSITIONS if word in (words if len(word) == 2 else description)), None)
    return found or ("PA" if shape.body_part == "CHEST" else "AP")
