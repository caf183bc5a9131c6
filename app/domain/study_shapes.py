"""How many series and instances a study has: the presets, and what a template says instead.

``realistic`` is what departments make, ``compact`` has the least that still is several images, ``single`` one image.
"""

from __future__ import annotations

from app.domain.order import MODALITIES, Modality
from app.domain.template import Shape, Study

_ONE = Shape(series=(1, 1), instances=(1, 1))
_FEW = Shape(series=(1, 1), instances=(1, 3))
_VIEWS = Shape(series=(1, 3), instances=(1, 1))  # projection X-ray: a series a view

PRESETS: dict[str, dict[Modality, Shape]] = {
    "realistic": {
        "CT": Shape(series=(3, 5), instances=(80, 400)),
        "MR": Shape(series=(6, 10), instances=(20, 60)),
        "CR": _VIEWS,
        "DX": _VIEWS,
    },
    "compact": {"CT": _FEW, "MR": _FEW, "CR": _ONE, "DX": _ONE},
    "single": dict.fromkeys(MODALITIES, _ONE),
}


def shape_of(study: Study, modality: Modality) -> Shape:
    """The template's own shape for the modality, or the preset's."""
    return study.shapes.get(modality) or PRESETS[study.preset][modality]
