"""How large a study will be, for the check of disk space before a run."""

from __future__ import annotations

from app.dicom.phantom.radiograph import COLUMNS, ROWS
from app.dicom.sectional import CT_SIZE, MR_SIZE, TINY_SIZE
from app.domain.order import Modality, StudyPlan

ATTRIBUTE_BYTES = 3072  # an instance without its pixels, as a file: 2.0 to 2.5 kB with names and texts of usual length

_FULL_PIXELS: dict[Modality, int] = {
    "CT": CT_SIZE * CT_SIZE,
    "MR": MR_SIZE * MR_SIZE,
    "CR": COLUMNS * ROWS,
    "DX": COLUMNS * ROWS,
}


def estimate_bytes(plan: StudyPlan) -> int:
    """Bytes that the study's files will take, rather too many than too few."""
    pixels = TINY_SIZE * TINY_SIZE if plan.pixels == "tiny" else _FULL_PIXELS[plan.modality]
    return plan.instances * (2 * pixels + ATTRIBUTE_BYTES)
