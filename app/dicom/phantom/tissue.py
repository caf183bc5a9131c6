"""Tissues, and what CT and MR see of each."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

Weighting = Literal["T1", "T2", "FLAIR", "PD"]


class Tissue(IntEnum):
    AIR = 0
    LUNG = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4  # cortical
    MARROW = 5  # cancellous bone with its marrow
    BLOOD = 6
    LIVER = 7
    SPLEEN = 8
    KIDNEY = 9
    BOWEL = 10
    FLUID = 11  # cerebrospinal fluid, urine, bile
    GREY = 12
    WHITE = 13
    NERVE = 14  # spinal cord
    CARTILAGE = 15
    DISC = 16
    GAS = 17
    LENS = 18
    COUCH = 19  # the scanner's table: carbon fibre, invisible to MR
    AIRWAY = 20


#                            HU     T1    T2  FLAIR   PD      MR signal, 0 to 1000
_SEEN: dict[Tissue, tuple[int, int, int, int, int]] = {
    Tissue.AIR: (-1000, 0, 0, 0, 0),
    Tissue.LUNG: (-860, 40, 40, 30, 40),
    Tissue.FAT: (-100, 900, 620, 560, 760),
    Tissue.MUSCLE: (58, 330, 170, 220, 420),
    Tissue.BONE: (1050, 40, 30, 30, 40),
    Tissue.MARROW: (330, 700, 430, 380, 560),
    Tissue.BLOOD: (165, 110, 70, 70, 120),
    Tissue.LIVER: (108, 480, 230, 260, 430),
    Tissue.SPLEEN: (122, 330, 430, 400, 520),
    Tissue.KIDNEY: (180, 380, 540, 420, 560),
    Tissue.BOWEL: (35, 360, 420, 330, 480),
    Tissue.FLUID: (6, 130, 960, 60, 720),
    Tissue.GREY: (39, 430, 480, 560, 620),
    Tissue.WHITE: (28, 600, 310, 400, 480),
    Tissue.NERVE: (42, 520, 300, 380, 500),
    Tissue.CARTILAGE: (90, 420, 520, 470, 700),
    Tissue.DISC: (80, 300, 560, 330, 520),
    Tissue.GAS: (-960, 0, 0, 0, 0),
    Tissue.LENS: (75, 330, 120, 160, 300),
    Tissue.COUCH: (-450, 0, 0, 0, 0),
    Tissue.AIRWAY: (-980, 0, 0, 0, 0),
}
_ATTENUATION = {
    Tissue.AIR: 0,
    Tissue.LUNG: 4,
    Tissue.FAT: 17,
    Tissue.BONE: 60,
    Tissue.MARROW: 32,
    Tissue.GAS: 0,
    Tissue.COUCH: 0,
    Tissue.AIRWAY: 0,
}
_COLUMN = {"T1": 1, "T2": 2, "FLAIR": 3, "PD": 4}


def hounsfield() -> npt.NDArray[np.int32]:
    """HU by label."""
    return _column(0)


def mr_signal(weighting: Weighting) -> npt.NDArray[np.int32]:
    """Signal by label, 0 to 1000."""
    return _column(_COLUMN[weighting])


def attenuation() -> npt.NDArray[np.int32]:
    """Attenuation of a diagnostic X-ray beam by label, water being 20; nothing is enhanced, and there is no couch."""
    return np.array([_ATTENUATION.get(tissue, 20) for tissue in Tissue], dtype=np.int32)


def _column(index: int) -> npt.NDArray[np.int32]:
    return np.array([_SEEN[tissue][index] for tissue in Tissue], dtype=np.int32)
