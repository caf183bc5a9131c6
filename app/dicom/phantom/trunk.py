"""The trunk from neck to hips, arms raised as for CT; z 0 lies at the carina."""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import pairwise

from app.dicom.phantom.shapes import Anatomy, Clipped, Ellipsoid, Scene, Stroke, Tube, Vector, both, cylinder, smooth
from app.dicom.phantom.tissue import Tissue

_RIBS = 11
_CLAVICLE = smooth(((14, -66, 84), (70, -56, 98), (146, 18, 122)))
_SPINE = ((-520.0, 78.0), (-430.0, 60.0), (-330.0, 34.0), (-250.0, 38.0), (-60.0, 48.0), (60.0, 42.0), (260.0, 20.0))


@lru_cache(maxsize=1)
def trunk() -> Anatomy:
    """With the arms raised, as for CT of the chest and for a lateral radiograph."""
    return _with_elbows_at(260.0)


@lru_cache(maxsize=1)
def shoulder() -> Anatomy:
    """The trunk with the arms down."""
    return _with_elbows_at(-120.0)


def _with_elbows_at(z: float) -> Anatomy:
    arm = ((172, 32, 104), (188, 30, 104 + (z - 104) / 3), (204, 28, z))
    organs = (*_lungs(), *_heart_and_vessels(), *_upper_abdomen(), *_bowel())
    bones = (*_pelvis(), *_spine(), *_ribs(), *_humerus(arm))
    flesh = both((Tissue.FAT, Tube(arm, (44, 46, 44))), (Tissue.MUSCLE, Tube(arm, (37, 38, 36))))
    return Anatomy((*_couch(), *flesh, *_contour(), *organs, *bones))


def _couch() -> Scene:
    def below(radii: Vector) -> Clipped:
        return Clipped(Ellipsoid((0, 62, -150), radii), (-260, 96, -700), (260, 200, 400))

    return (Tissue.COUCH, below((225, 82, 1e5))), (Tissue.AIR, below((217, 75, 1e5)))


def _contour() -> Scene:
    return (
        (Tissue.FAT, Ellipsoid((0, 2, -50), (172, 112, 330), squareness=0.6)),
        (Tissue.FAT, Ellipsoid((0, -2, -290), (166, 116, 330), squareness=0.5)),
        (Tissue.FAT, Ellipsoid((0, 6, -450), (186, 118, 190), squareness=0.5)),
        (Tissue.FAT, Ellipsoid((0, 22, 105), (196, 76, 80), squareness=0.6)),
        (Tissue.FAT, Tube(((0, 12, 120), (0, 10, 300)), (66, 60))),
        (Tissue.MUSCLE, Ellipsoid((0, 2, -50), (158, 100, 320), squareness=0.6)),
        (Tissue.MUSCLE, Ellipsoid((0, 2, -290), (148, 98, 310), squareness=0.5)),
        (Tissue.MUSCLE, Ellipsoid((0, 12, -450), (160, 98, 190), squareness=0.5)),
        (Tissue.MUSCLE, Ellipsoid((0, 22, 100), (182, 66, 72), squareness=0.6)),
        (Tissue.MUSCLE, Tube(((0, 12, 120), (0, 10, 300)), (58, 52))),
        (Tissue.FAT, Ellipsoid((0, -6, -30), (134, 84, 190), squareness=0.3)),
        (Tissue.FAT, Ellipsoid((0, -14, -310), (126, 78, 180), squareness=0.6)),
        *both(
            (Tissue.MUSCLE, Ellipsoid((36, 82, -260), (30, 18, 500))),  # erector spinae
            (Tissue.MUSCLE, Tube(((36, 48, -230), (44, 50, -330), (70, 10, -460)), (12, 24, 16))),  # psoas
            (Tissue.FAT, Ellipsoid((122, 72, 20), (34, 5, 80), along=(4, -3))),
            (Tissue.BONE, Ellipsoid((116, 76, 38), (33, 3, 62), along=(4, -3))),  # scapula
            (Tissue.BONE, Tube(((86, 92, 66), (118, 72, 84), (146, 36, 122)), (3.5, 4.5, 6))),
            (Tissue.BONE, Ellipsoid((138, 42, 100), (10, 12, 20))),  # glenoid
            (Tissue.MARROW, Ellipsoid((138, 42, 100), (8, 10, 18))),
            (Tissue.BONE, Tube(_CLAVICLE, (9, 7, 6.5, 6, 6.5, 7, 7.5))),
            (Tissue.MARROW, Tube(_CLAVICLE, (7, 5, 4, 3.5, 4, 5, 5.5))),
        ),
    )


def _lungs() -> Scene:
    strokes: list[Stroke] = [
        (Tissue.LUNG, Ellipsoid((-72, -2, -20), (60, 84, 150), along=(12, -2))),
        (Tissue.LUNG, Ellipsoid((72, -2, -20), (60, 84, 150), along=(12, 2))),
        (Tissue.FAT, Ellipsoid((0, -20, -20), (30, 64, 190))),  # mediastinum
        (Tissue.MUSCLE, Tube(((4, 30, 150), (6, 36, -140)), (7, 7))),  # oesophagus
        (Tissue.MUSCLE, Tube(((0, 2, 260), (0, 18, 4)), (12, 11))),
        (Tissue.AIRWAY, Tube(((0, 2, 260), (0, 18, 2)), (9.5, 9))),  # trachea
    ]
    for side in (-1, 1):
        bronchus = ((0, 18, 4), (side * 30, 16, -26), (side * 58, 12, -52), (side * 86, 8, -80))
        strokes.append((Tissue.MUSCLE, Tube(bronchus, (9, 8, 5, 3))))
        strokes.append((Tissue.AIRWAY, Tube(bronchus, (7.5, 6.5, 3.5, 1.5))))
        strokes += [(Tissue.BLOOD, vessel) for vessel in _lung_vessels(side)]
    return strokes


def _lung_vessels(side: int) -> list[Tube]:
    """Vessels that fan out from the hilum, each with two branches."""
    draw = random.Random(7 + side).random
    vessels = []
    for _ in range(64):
        root = (side * (34 + 8 * draw()), 4 + 16 * draw(), -40 + 40 * draw())
        tip = _in_lung(side, draw(), draw(), draw())
        fork = _between(root, tip, 0.55)
        fork = (fork[0], fork[1] + 10 * (draw() - 0.5), fork[2] + 14 * (draw() - 0.5))
        other = _between(fork, _in_lung(side, draw(), draw(), draw()), 0.5)
        vessels.append(Tube((root, fork, tip), (3.4, 2.2, 1.1)))
        vessels.append(Tube((fork, other), (1.9, 1.0)))
    return vessels


def _in_lung(side: int, u: float, v: float, w: float) -> Vector:
    return side * (72 + 48 * (u - 0.35)), -2 + 130 * (v - 0.5), -20 + 220 * (w - 0.5)


def _between(a: Vector, b: Vector, share: float) -> Vector:
    x, y, z = (p + (q - p) * share for p, q in zip(a, b, strict=True))
    return x, y, z


def _heart_and_vessels() -> Scene:
    arch = ((-4, -26, -46), (-16, -34, -8), (-12, -28, 22), (6, 2, 38), (22, 34, 24), (25, 42, -10))
    descending = ((25, 42, -10), (20, 36, -130), (8, 16, -230), (4, 6, -345))
    return (
        (Tissue.FAT, Ellipsoid((20, -34, -82), (70, 52, 52), along=(4, -1))),  # pericardial fat
        (Tissue.MUSCLE, Ellipsoid((24, -32, -80), (64, 46, 48), along=(4, -1))),
        (Tissue.BLOOD, Ellipsoid((50, -30, -86), (24, 19, 28), along=(3, -2))),  # left ventricle
        (Tissue.BLOOD, Ellipsoid((16, -56, -84), (32, 15, 28), along=(5, -2))),  # right ventricle
        (Tissue.BLOOD, Ellipsoid((-24, -32, -76), (17, 24, 28))),  # right atrium
        (Tissue.BLOOD, Ellipsoid((8, 2, -58), (34, 14, 20))),  # left atrium
        (Tissue.BLOOD, Tube(((20, -42, -52), (18, -24, -12)), (14, 13))),  # pulmonary trunk
        (Tissue.BLOOD, Tube(((18, -22, -12), (-12, -8, -16), (-46, 6, -24)), (11, 10, 8))),
        (Tissue.BLOOD, Tube(((18, -20, -8), (46, 10, -10)), (11, 8))),
        (Tissue.BLOOD, Tube(((-26, -28, -50), (-26, -26, 40), (-30, -22, 80)), (10, 9, 8))),  # superior vena cava
        (Tissue.BLOOD, Tube(((-30, -22, 70), (24, -34, 62), (40, -20, 90)), (7, 7, 6))),
        (Tissue.BLOOD, Tube(arch, (15, 15, 14, 13, 12, 12))),
        (Tissue.BLOOD, Tube(descending, (12, 12, 10, 9))),
        (Tissue.BLOOD, Tube(((-10, -12, 34), (-20, -4, 90), (-26, 4, 250)), (6, 4.5, 4))),  # arch branches
        (Tissue.BLOOD, Tube(((16, 12, 36), (20, 6, 90), (26, 4, 250)), (5, 4.5, 4))),
        *both((Tissue.BLOOD, Tube(((4, 6, -340), (40, 16, -420), (66, -40, -500)), (7, 6, 5)))),
    )


def _upper_abdomen() -> Scene:
    draw = random.Random(23).random
    portal = [
        Tube(((-22, -8, -196), _between((-22, -8, -196), tip, 0.6), tip), (6, 4, 1.5))
        for tip in ((-70 - 55 * draw(), -50 + 90 * draw(), -230 + 100 * draw()) for _ in range(14))
    ]
    return (
        (Tissue.LIVER, Ellipsoid((-58, -4, -186), (80, 78, 84), squareness=0.3)),
        (Tissue.LIVER, Ellipsoid((6, -46, -172), (70, 36, 42))),
        *((Tissue.BLOOD, vessel) for vessel in portal),
        (Tissue.FLUID, Ellipsoid((-40, -56, -244), (14, 18, 24))),  # gall-bladder
        (Tissue.FAT, Ellipsoid((72, 0, -196), (62, 74, 82))),
        (Tissue.BOWEL, Ellipsoid((60, -28, -186), (48, 44, 46))),  # stomach
        (Tissue.FLUID, Ellipsoid((60, -28, -186), (45, 41, 43))),
        (Tissue.GAS, Clipped(Ellipsoid((60, -28, -186), (45, 41, 43)), (0, -80, -240), (120, -42, -130))),
        (Tissue.SPLEEN, Ellipsoid((108, 36, -182), (20, 40, 50), along=(5, 2))),
        (
            Tissue.SPLEEN,
            Tube(((-16, 0, -246), (14, -8, -234), (60, 12, -214), (90, 26, -196)), (13, 9, 10, 7)),
        ),  # pancreas
        (Tissue.BLOOD, Tube(((-18, 16, -440), (-22, 16, -110)), (11, 12))),  # inferior vena cava
        *both(
            (Tissue.FAT, Ellipsoid((68, 40, -268), (40, 38, 70))),
            (Tissue.KIDNEY, Ellipsoid((66, 42, -268), (25, 30, 56), along=(4, -2))),
            (Tissue.FAT, Ellipsoid((54, 34, -268), (14, 10, 30), along=(4, -2))),
        ),
    )


def _bowel() -> Scene:
    draw = random.Random(31).random
    strokes: list[Stroke] = []
    for bends in (
        ((-104, 14, -400), (-106, 10, -290), (-92, -40, -262), (0, -74, -292), (92, -46, -250), (106, 16, -262)),
        ((106, 16, -262), (106, 22, -390), (70, 30, -430), (10, 44, -440), (0, 50, -500)),
    ):
        colon = smooth(bends)
        wide = tuple(17 + 5 * draw() for _ in colon)
        strokes += [(Tissue.BOWEL, Tube(colon, wide)), (Tissue.GAS, Tube(colon, tuple(r - 7 for r in wide)))]
    for _ in range(26):
        start = (-70 + 140 * draw(), -56 + 46 * draw(), -310 - 100 * draw())
        end = (start[0] + 70 * (draw() - 0.5), start[1] + 24 * (draw() - 0.5), start[2] + 30 * (draw() - 0.5))
        strokes += [(Tissue.BOWEL, Tube((start, end), (11, 12))), (Tissue.FLUID, Tube((start, end), (5, 6)))]
    return strokes


def _pelvis() -> Scene:
    shaft = ((98, 4, -500), (142, 12, -528), (136, 12, -570), (122, 12, -760))
    ramus = smooth(((92, 8, -505), (70, 34, -556), (46, 12, -568), (12, -48, -540)))
    return (
        *both(
            (Tissue.FAT, Tube(((96, 14, -560), (106, 12, -800)), (96, 84))),  # thigh
            (Tissue.MUSCLE, Tube(((96, 14, -560), (106, 12, -800)), (80, 68))),
            (Tissue.BONE, Ellipsoid((76, 36, -412), (60, 7, 62), along=(13, -12))),  # wing of the ilium
            (Tissue.MARROW, Ellipsoid((76, 36, -412), (57, 4.5, 59), along=(13, -12))),
            (Tissue.BONE, Tube(((48, 58, -425), (84, 18, -475)), (13, 16))),
            (Tissue.MARROW, Tube(((48, 58, -425), (84, 18, -475)), (10, 13))),
            (Tissue.BONE, Ellipsoid((90, 4, -494), (33, 33, 34))),  # acetabulum
            (Tissue.MARROW, Ellipsoid((90, 4, -494), (29, 29, 31))),
            (Tissue.CARTILAGE, Ellipsoid((97, 4, -500), (26, 26, 26))),
            (Tissue.BONE, Ellipsoid((97, 4, -500), (24, 24, 24))),  # head of the femur
            (Tissue.MARROW, Ellipsoid((97, 4, -500), (22, 22, 22))),
            (Tissue.BONE, Tube(shaft, (16, 19, 17, 14))),
            (Tissue.MARROW, Tube(shaft, (13, 16, 12, 7))),
            (Tissue.BONE, Tube(((88, -8, -508), (40, -44, -520), (4, -50, -536)), (12, 8, 10))),  # pubis
            (Tissue.MARROW, Tube(((88, -8, -508), (40, -44, -520), (4, -50, -536)), (9, 6, 8))),
            (Tissue.BONE, Tube(ramus, (13, 13, 12, 12, 11, 9, 8, 8, 8, 9))),  # ischium
            (Tissue.MARROW, Tube(ramus, (10, 10, 9, 9, 8, 6, 5, 5, 5, 6))),
            (Tissue.MUSCLE, Ellipsoid((84, 78, -470), (56, 26, 90))),  # gluteus
        ),
        (Tissue.FAT, Ellipsoid((0, 0, -480), (60, 60, 64))),
        (Tissue.FLUID, Ellipsoid((0, -22, -486), (42, 32, 30))),  # bladder
        (Tissue.BOWEL, Tube(((0, 52, -430), (0, 50, -520)), (18, 16))),  # rectum
        (Tissue.GAS, Tube(((0, 48, -440), (0, 46, -500)), (8, 6))),
    )


def _spine() -> Scene:
    strokes: list[Stroke] = []
    z = 240.0
    while z > -385:
        size = (240.0 - z) / 625  # 0 in the neck, 1 at the sacrum
        pitch, a, b = 19 + 15 * size, 13 + 12 * size, 11 + 8 * size
        strokes += _vertebra(z, spine_y(z), pitch, a, b)
        z -= pitch
    strokes += [
        (Tissue.BONE, Tube(((0, spine_y(-392), -392), (0, 84, -440), (0, 88, -490)), (24, 18, 8))),
        (Tissue.MARROW, Tube(((0, spine_y(-392), -392), (0, 84, -440), (0, 88, -490)), (20, 14, 5))),
        *both(
            (Tissue.BONE, Ellipsoid((30, 68, -405), (22, 15, 36))),
            (Tissue.MARROW, Ellipsoid((30, 68, -405), (20, 13, 34))),
        ),
    ]
    canal = tuple((0.0, spine_y(z) + 24 + 8 * (240.0 - z) / 625, z) for z in range(240, -420, -30))
    strokes.append((Tissue.FLUID, Tube(canal, (9.0,) * len(canal))))
    strokes.append((Tissue.NERVE, Tube(canal[:16], (5.0,) * 15 + (2.0,))))
    return strokes


def _vertebra(z: float, y: float, pitch: float, a: float, b: float) -> Scene:
    back = y + b + 12
    return (
        *both(
            (Tissue.BONE, Tube(((a - 3, y + b - 4, z), (15, back, z), (4, back + 14, z - 4)), (4.5, 5, 4))),
            (Tissue.BONE, Tube(((15, back, z), (36, back + 8, z)), (4.5, 3.5))),
        ),
        (Tissue.BONE, Tube(((0, back + 12, z - 3), (0, back + 30, z - 12)), (3.5, 4.5))),
        (Tissue.BONE, cylinder((0, y, z), (a, b), pitch - 5)),
        (Tissue.MARROW, cylinder((0, y, z), (a - 2, b - 2), pitch - 8)),
        (Tissue.DISC, cylinder((0, y, z - pitch / 2), (a - 1, b - 1), 5)),
    )


def spine_y(z: float) -> float:
    """Where the vertebral bodies are: kyphosis of the chest, lordosis of the loins."""
    for (z0, y0), (z1, y1) in pairwise(_SPINE):
        if z <= z1:
            return y0 + (y1 - y0) * (z - z0) / (z1 - z0)
    return _SPINE[-1][1]


def _ribs() -> Scene:
    strokes: list[Stroke] = [
        (Tissue.BONE, Tube(((0, -84, 70), (0, -96, 20), (0, -94, -80)), (14, 9, 8))),
        (Tissue.MARROW, Tube(((0, -84, 70), (0, -96, 20), (0, -94, -80)), (11, 6, 5))),
    ]
    for index in range(_RIBS):
        top = 108.0 - 23 * index
        wide = min(1.0, 0.52 + 0.16 * index)
        y = spine_y(top)
        bone = (
            (20, y + 18, top),
            (56, min(88.0, y + 40), top - 6),
            (116 * wide, 62 * wide + 6, top - 20),
            (143 * wide, 8, top - 38),
            (128 * wide, -46 * wide - 6, top - 56),
            (92 * wide, -76 * wide - 4, top - 68),
        )
        curve = smooth(bone)
        strokes += both(
            (Tissue.BONE, Tube(curve, (5.5,) * len(curve))), (Tissue.MARROW, Tube(curve, (3.4,) * len(curve)))
        )
        if index < 8:
            cartilage = (bone[-1], (52 * wide, -92, top - 62), (16, -96, max(top - 58, -84.0)))
            strokes += both((Tissue.CARTILAGE, Tube(cartilage, (5, 5, 5))))
    return strokes


def _humerus(arm: tuple[Vector, ...]) -> Scene:
    return both(
        (Tissue.CARTILAGE, Ellipsoid((166, 34, 104), (25, 25, 25))),
        (Tissue.BONE, Ellipsoid((166, 34, 104), (23, 23, 23))),
        (Tissue.BONE, Tube(arm, (18, 13, 12))),
        (Tissue.MARROW, Ellipsoid((166, 34, 104), (21, 21, 21))),
        (Tissue.MARROW, Tube(arm, (15, 8, 6))),
    )
