"""The left hand, palm to the front and fingers down, and the left foot, toes to the front."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from app.dicom.phantom.shapes import Anatomy, Ellipsoid, Scene, Stroke, Tube, Vector
from app.dicom.phantom.tissue import Tissue

# From the wrist to the tip: joints of a ray as (x, z), and the half-width of its shaft.
_RAYS: tuple[tuple[tuple[tuple[float, float], ...], float], ...] = (
    (((22, 2), (44, -32), (58, -60), (66, -84)), 5.6),  # thumb
    (((14, -12), (26, -74), (32, -116), (34, -140), (35, -160)), 4.8),
    (((3, -14), (6, -80), (7, -126), (7, -154), (7, -174)), 5.0),
    (((-8, -12), (-13, -74), (-18, -116), (-20, -142), (-21, -162)), 4.6),
    (((-17, -8), (-30, -64), (-38, -96), (-42, -116), (-44, -134)), 4.2),
)
_CARPALS: tuple[tuple[Vector, Vector], ...] = (
    ((15, 0, 14), (8, 7, 10)),  # scaphoid
    ((1, 0, 17), (8, 7, 8)),
    ((-12, 0, 14), (7, 7, 7)),
    ((-15, -6, 10), (5, 5, 5)),
    ((21, 0, 3), (7, 6, 6)),
    ((12, 0, 0), (6, 6, 7)),
    ((2, 0, -1), (8, 7, 11)),  # capitate
    ((-10, 0, 0), (8, 7, 9)),
)
# Joints of a ray as (x, y, z), from the tarsus to the tip.
_TOES: tuple[tuple[tuple[Vector, ...], float], ...] = (
    (((-20, -36, 24), (-30, -104, 6), (-30, -136, 4), (-29, -158, 4)), 7.5),
    (((-8, -40, 26), (-10, -112, 7), (-9, -138, 6), (-8, -150, 5), (-8, -160, 4)), 4.4),
    (((2, -38, 24), (6, -108, 7), (8, -130, 6), (9, -142, 5), (10, -151, 4)), 4.2),
    (((11, -32, 20), (21, -100, 6), (24, -119, 5), (25, -130, 5), (26, -138, 4)), 4.2),
    (((20, -24, 15), (36, -88, 5), (39, -104, 5), (41, -114, 5), (42, -121, 4)), 4.4),
)


@lru_cache(maxsize=1)
def hand() -> Anatomy:
    strokes: list[Stroke] = [
        (Tissue.FAT, Ellipsoid((0, 0, 110), (34, 24, 150))),
        (Tissue.FAT, Ellipsoid((0, 0, -34), (42, 15, 60), squareness=0.4)),
        (Tissue.MUSCLE, Ellipsoid((0, 0, 110), (31, 21, 146))),
        (Tissue.MUSCLE, Ellipsoid((0, 0, -34), (38, 12, 56), squareness=0.4)),
        (Tissue.MUSCLE, Ellipsoid((30, -6, -18), (18, 12, 30))),
    ]
    rays = [(tuple((x, 0.0, z) for x, z in joints), width) for joints, width in _RAYS]
    for joints, width in rays:
        tip = (joints[-1][0], 0.0, joints[-1][2] - 4)
        strokes.append((Tissue.FAT, Tube((*joints[1:], tip), (10.5, *(width + 4.5 for _ in joints[2:]), width + 2.5))))
    for joints, width in rays:
        strokes += _phalanges(joints, width)
    for centre, radii in _CARPALS:
        strokes += _ellipsoid_bone(centre, radii)
    strokes += _long_bone((12, 0, 29), (13, 0, 100), 13, 6.5)  # radius
    strokes += _long_bone((-15, 0, 31), (-16, 0, 100), 7, 5.5)  # ulna
    return Anatomy(strokes)


@lru_cache(maxsize=1)
def foot() -> Anatomy:
    strokes: list[Stroke] = [
        (Tissue.FAT, Tube(((0, 44, 180), (0, 42, 20)), (40, 36))),
        (Tissue.FAT, Tube(((0, 66, 16), (0, -30, 20)), (30, 34))),
        (Tissue.FAT, Ellipsoid((4, -72, 10), (43, 72, 17))),
        (Tissue.AIR, Ellipsoid((0, -20, -100), (400, 400, 82))),  # the sole is flat
        (Tissue.MUSCLE, Tube(((0, 44, 180), (0, 42, 30)), (34, 30))),
        (Tissue.MUSCLE, Tube(((0, 40, 14), (0, -30, 16)), (20, 26))),
    ]
    for joints, width in _TOES:
        strokes.append((Tissue.FAT, Tube(joints[1:], tuple(width + 5 for _ in joints[1:]))))
    for joints, width in _TOES:
        strokes += _phalanges(joints, width)
    for centre, radii in (
        ((0, 62, 12), (17, 32, 17)),  # calcaneus
        ((0, 30, 42), (18, 24, 13)),  # talus
        ((-9, -4, 32), (15, 9, 13)),  # navicular
        ((15, 0, 18), (11, 16, 11)),  # cuboid
        ((-19, -22, 28), (9, 12, 11)),
        ((-7, -24, 29), (7, 12, 9)),
        ((4, -22, 27), (7, 12, 9)),
    ):
        strokes += _ellipsoid_bone(centre, radii)
    strokes += _long_bone((-3, 36, 66), (-2, 40, 200), 21, 11)  # tibia
    strokes += _long_bone((24, 42, 44), (23, 44, 200), 9, 6)  # fibula
    return Anatomy(strokes)


def _phalanges(joints: tuple[Vector, ...], width: float) -> Scene:
    """The bones of a ray: between joints, thick at both ends, with a gap for the cartilage."""
    strokes: list[Stroke] = []
    for index, (a, b) in enumerate(pairwise(joints)):
        shaft = width * (1.0 - 0.13 * index)
        p, q, r, s = (_along(a, b, share) for share in (0.09, 0.3, 0.7, 0.92))
        strokes.append((Tissue.BONE, Tube((p, q, r, s), (shaft * 1.3, shaft * 0.85, shaft * 0.8, shaft * 1.15))))
        strokes.append((Tissue.MARROW, Tube((p, q, r, s), (shaft * 1.1, shaft * 0.4, shaft * 0.4, shaft * 0.95))))
    return strokes


def _long_bone(end: Vector, far: Vector, wide: float, narrow: float) -> Scene:
    neck = _along(end, far, 0.35)
    return (
        (Tissue.BONE, Tube((end, neck, far), (wide, narrow, narrow))),
        (Tissue.MARROW, Tube((end, neck, far), (wide - 1.5, narrow * 0.55, narrow * 0.5))),
    )


def _ellipsoid_bone(centre: Vector, radii: Vector) -> Scene:
    a, b, c = radii
    return (Tissue.BONE, Ellipsoid(centre, radii)), (Tissue.MARROW, Ellipsoid(centre, (a - 1.5, b - 1.5, c - 1.5)))


def _along(a: Vector, b: Vector, share: float) -> Vector:
    x, y, z = (p + (q - p) * share for p, q in zip(a, b, strict=True))
    return x, y, z
