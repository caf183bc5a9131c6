"""Which part of which anatomy an examination of a body part shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.dicom.phantom.extremity import foot, hand
from app.dicom.phantom.head import head
from app.dicom.phantom.knee import knee
from app.dicom.phantom.painted import kept
from app.dicom.phantom.shapes import Anatomy, Vector
from app.dicom.phantom.trunk import shoulder, trunk


@dataclass(frozen=True, slots=True)
class Region:
    """All in millimetres."""

    anatomy: Callable[[], Anatomy]
    centre: Vector
    extent: Vector  # what a stack of sections covers along x, y and z
    field: float  # side of a section's square field of view
    detector: float  # width of a radiograph
    depth: Vector  # how much of the body a radiograph shows, for a beam along x, y or z
    aim: Vector  # centre of a radiograph


_WHOLE = (400.0, 260.0, 400.0)
_HEAD = Region(head, (1.5, 2, 5), (130, 170, 150), 240, 281.6, (200, 240, 200), (0, 0, -20))
_CHEST = Region(trunk, (0, 0, -25), (260, 180, 290), 400, 352, _WHOLE, (0, 0, 0))
_REGIONS: dict[str, Region] = {
    "HEAD": _HEAD,
    "BRAIN": _HEAD,
    "SKULL": _HEAD,
    "CSPINE": Region(head, (1.5, 15, -140), (50, 60, 120), 240, 211.2, (160, 200, 200), (0, 10, -120)),
    "CHEST": _CHEST,
    "ABDOMEN": Region(trunk, (0, 0, -265), (280, 190, 320), 400, 352, _WHOLE, (0, 0, -310)),
    "LSPINE": Region(trunk, (1.5, 35, -310), (70, 110, 200), 280, 281.6, _WHOLE, (0, 20, -320)),
    "PELVIS": Region(trunk, (0, 5, -480), (300, 190, 200), 420, 352, _WHOLE, (0, 0, -450)),
    "SHOULDER": Region(shoulder, (148, 32, 92), (90, 90, 110), 200, 211.2, (160, 180, 200), (150, 30, 80)),
    "KNEE": Region(knee, (1.5, 0, 2), (110, 110, 120), 160, 176, (150, 150, 150), (0, 0, 0)),
    "HAND": Region(hand, (0, 0, -60), (90, 40, 220), 240, 211.2, (140, 140, 220), (5, 0, -60)),
    "FOOT": Region(foot, (5, -30, 20), (90, 240, 70), 280, 281.6, (110, 260, 62), (5, -35, 30)),
}


def region(body_part: str) -> Region:
    """The region of a body part (0018,0015); the chest where there is none of its own."""
    return _REGIONS.get(body_part, _CHEST)


@kept(32)
def anatomy(body_part: str, right: bool, oblique: bool) -> Anatomy:
    """The anatomy of a region; ``right`` for the right one of a pair, ``oblique`` turned by about 37 degrees."""
    shown = region(body_part).anatomy()
    shown = shown.turned((4.0, 3.0)) if oblique else shown
    return shown.mirrored() if right else shown
