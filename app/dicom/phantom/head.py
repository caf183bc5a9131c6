"""The head: skull, brain, orbits, sinuses and the top of the neck; z 0 lies at the height of the basal ganglia."""

from __future__ import annotations

from functools import lru_cache

from app.dicom.phantom.lattice import Folds
from app.dicom.phantom.shapes import Anatomy, Clipped, Ellipsoid, Scene, Stroke, Tube, both, cylinder
from app.dicom.phantom.tissue import Tissue

_CENTRE = (0.0, 0.0, 5.0)
_CEREBRUM = Ellipsoid((0, 1, 6), (65, 84, 76))
_CEREBELLUM = Ellipsoid((0, 39, -42), (45, 26, 21))


@lru_cache(maxsize=1)
def head() -> Anatomy:
    brain = (*_brain(), *_posterior_fossa())
    return Anatomy((*_soft_tissue(), *_skull(), *brain, *_skull_base(), *_orbits(), *_face(), *_neck()))


def _soft_tissue() -> Scene:
    return (
        (Tissue.FAT, Ellipsoid(_CENTRE, (80, 99, 92))),
        (Tissue.FAT, Ellipsoid((0, -20, -72), (66, 78, 74), squareness=0.5)),
        (Tissue.FAT, Tube(((0, -98, -45), (0, -112, -70)), (5, 10))),
        (Tissue.FAT, Tube(((0, 25, -60), (0, 25, -330)), (60, 54))),
        (Tissue.FAT, Ellipsoid((0, 25, -310), (170, 78, 76))),
        *both((Tissue.FAT, Ellipsoid((75, 14, -44), (5, 15, 27), along=(5, -2)))),
        (Tissue.MUSCLE, Ellipsoid((0, -20, -78), (58, 68, 66), squareness=0.5)),
        (Tissue.MUSCLE, Tube(((0, 25, -60), (0, 25, -330)), (54, 48))),
        (Tissue.MUSCLE, Ellipsoid((0, 25, -310), (158, 68, 66))),
        *both((Tissue.MUSCLE, Ellipsoid((64, -24, -16), (9, 26, 34)))),
    )


def _skull() -> Scene:
    return (
        (Tissue.BONE, Ellipsoid(_CENTRE, (75, 94, 87))),
        (Tissue.MARROW, Ellipsoid(_CENTRE, (72.6, 91.6, 84.6))),
        (Tissue.BONE, Ellipsoid(_CENTRE, (70.4, 89.4, 82.4))),
        (Tissue.FLUID, Ellipsoid(_CENTRE, (68, 87, 80))),
    )


def _brain() -> Scene:
    return (
        (Tissue.GREY, _CEREBRUM),
        (Tissue.WHITE, Ellipsoid((0, 1, 6), (61, 80, 72))),
        (Tissue.GREY, Folds(_CEREBRUM, depth=0.36, thickness=0.24, cell=13)),
        (Tissue.FLUID, Folds(_CEREBRUM, depth=0.26, thickness=0.06, cell=13)),
        (Tissue.GREY, Clipped(_CEREBRUM, (-6, -90, -16), (6, 90, 90))),  # medial surface
        (Tissue.FLUID, Clipped(Folds(_CEREBRUM, depth=0.7, thickness=0.07, cell=11), (-6, -90, 4), (6, 90, 90))),
        (Tissue.WHITE, Clipped(Ellipsoid((0, 1, 4), (40, 40, 34)), (-6, -60, -26), (6, 60, 34))),
        *both(
            (Tissue.GREY, Tube(((40, -24, 0), (39, 4, 6), (50, 18, 14)), (8, 9, 8))),  # insula
            (Tissue.FLUID, Tube(((47, -24, 0), (42, 4, 6), (56, 18, 14)), (3.0, 2.2, 3.0))),  # Sylvian fissure
            (Tissue.GREY, Ellipsoid((26, -4, 4), (7, 17, 11), along=(12, 5))),  # lentiform nucleus
            (Tissue.GREY, Ellipsoid((11, 9, 6), (8, 14, 10), along=(12, 5))),  # thalamus
            (Tissue.GREY, Ellipsoid((15, -24, 12), (5, 9, 12), along=(12, -5))),  # head of the caudate nucleus
        ),
        (Tissue.FLUID, Clipped(Ellipsoid(_CENTRE, (1.2, 87, 80)), (-2, -90, -20), (2, -27, 90))),
        (Tissue.FLUID, Clipped(Ellipsoid(_CENTRE, (1.2, 87, 80)), (-2, 33, -20), (2, 90, 90))),
        (Tissue.FLUID, Clipped(Ellipsoid(_CENTRE, (1.2, 87, 80)), (-2, -90, 33), (2, 90, 90))),
        (Tissue.MUSCLE, Clipped(Ellipsoid(_CENTRE, (0.6, 87, 80)), (-2, -90, 40), (2, 90, 90))),  # falx
        (Tissue.MUSCLE, Clipped(Ellipsoid(_CENTRE, (0.6, 87, 80)), (-2, 40, -10), (2, 90, 90))),
        (Tissue.WHITE, Tube(((-9, -32, 10), (-9, -26, 24), (-9, 0, 31), (-9, 24, 27), (-9, 34, 16)), (5, 4, 4, 4, 5))),
        (Tissue.WHITE, Tube(((9, -32, 10), (9, -26, 24), (9, 0, 31), (9, 24, 27), (9, 34, 16)), (5, 4, 4, 4, 5))),
        (Tissue.WHITE, Tube(((0, -32, 10), (0, -26, 24), (0, 0, 31), (0, 24, 27), (0, 34, 16)), (5, 4, 4, 4, 5))),
        *both(
            (Tissue.FLUID, Tube(((8, -34, 8), (9, -20, 14), (9, 8, 22), (18, 28, 17), (24, 36, 8)), (4, 5, 5, 7, 7))),
            (Tissue.FLUID, Tube(((24, 36, 8), (20, 58, 6)), (6, 2))),  # occipital horn
            (Tissue.FLUID, Tube(((24, 36, 8), (34, 18, -14), (32, -6, -20)), (5, 3, 2))),  # temporal horn
        ),
        (Tissue.FLUID, Ellipsoid((0, 2, 2), (2.4, 15, 11))),  # third ventricle
    )


def _posterior_fossa() -> Scene:
    return (
        (Tissue.FLUID, Ellipsoid((0, 38, -43), (50, 29, 24))),
        (Tissue.GREY, _CEREBELLUM),
        (Tissue.WHITE, Folds(_CEREBELLUM, depth=0.5, thickness=0.2, cell=6)),
        *both((Tissue.WHITE, Ellipsoid((18, 40, -42), (16, 11, 9)))),
        (Tissue.FLUID, Ellipsoid((0, -10, -26), (17, 12, 6))),  # suprasellar cistern
        (Tissue.FLUID, Ellipsoid((0, 26, -12), (16, 5, 7))),  # quadrigeminal cistern
        *both((Tissue.WHITE, Ellipsoid((9, 6, -18), (9, 12, 8), along=(4, -3)))),  # cerebral peduncles
        (Tissue.WHITE, Ellipsoid((0, 4, -38), (17, 13, 14))),  # pons
        (Tissue.NERVE, Tube(((0, 12, -14), (0, 12, -40), (0, 20, -66), (0, 27, -90)), (11, 11, 8, 6))),
        (Tissue.FLUID, Ellipsoid((0, 25, -42), (9, 5, 11))),  # fourth ventricle
    )


def _skull_base() -> Scene:
    inner, outer = Ellipsoid(_CENTRE, (68, 87, 80)), Ellipsoid(_CENTRE, (75, 94, 87))
    return (
        (Tissue.MUSCLE, Clipped(inner, (-70, -90, -90), (70, -30, -34))),
        (Tissue.MUSCLE, Clipped(inner, (-24, -90, -90), (24, -6, -34))),
        (Tissue.MUSCLE, Clipped(outer, (-80, -95, -90), (80, 8, -56))),
        (Tissue.MUSCLE, Clipped(outer, (-80, 8, -90), (80, 95, -66))),
        (Tissue.BONE, Clipped(inner, (-70, -90, -35), (70, -30, -31))),
        (Tissue.BONE, Ellipsoid((0, -20, -44), (25, 16, 10))),
        (Tissue.GAS, Ellipsoid((0, -26, -46), (14, 11, 8))),  # sphenoid sinus
        (Tissue.BONE, Tube(((0, -8, -40), (0, 9, -72)), (7, 6))),  # clivus
        *both(
            (Tissue.BONE, Tube(((53, 24, -50), (15, 0, -42)), (11, 6))),  # petrous ridge
            (Tissue.GAS, Ellipsoid((54, 27, -54), (6, 8, 8))),  # mastoid cells
            (Tissue.BONE, Ellipsoid((53, 24, -52), (1.0, 8, 8))),
            (Tissue.BONE, Ellipsoid((53, 29, -53), (6, 1.0, 8))),
            (Tissue.GAS, Tube(((72, 12, -46), (50, 12, -46)), (3, 3))),  # external auditory canal
            (Tissue.BONE, Tube(((64, -2, -36), (54, -44, -34)), (3.5, 3))),  # squamous temporal, greater wing
        ),
    )


def _orbits() -> Scene:
    return (
        *both(
            (Tissue.BONE, Clipped(Tube(((33, -80, -40), (14, -30, -40)), (23, 8)), (0, -74, -70), (50, 0, -10))),
            (Tissue.FAT, Tube(((33, -68, -40), (15, -32, -40)), (20, 6))),
            (Tissue.MUSCLE, Tube(((45, -70, -40), (18, -36, -40)), (2.2, 1.6))),
            (Tissue.MUSCLE, Tube(((20, -70, -40), (14, -36, -40)), (2.2, 1.6))),
            (Tissue.MUSCLE, Tube(((33, -70, -27), (16, -36, -36)), (2.2, 1.6))),
            (Tissue.MUSCLE, Tube(((33, -70, -53), (16, -36, -44)), (2.2, 1.6))),
            (Tissue.NERVE, Tube(((31, -64, -40), (15, -34, -40)), (2.4, 2.0))),
            (Tissue.MUSCLE, Ellipsoid((33, -74, -40), (13, 13, 13))),
            (Tissue.FLUID, Ellipsoid((33, -74, -40), (11.6, 11.6, 11.6))),
            (Tissue.LENS, Ellipsoid((33, -83, -40), (4.6, 2.4, 4.6))),
        ),
        (Tissue.BONE, Ellipsoid((0, -60, -44), (13, 30, 14))),
        *both((Tissue.GAS, Ellipsoid((5.5, -66, -45), (4.6, 22, 12)))),  # ethmoid cells
        *((Tissue.BONE, Ellipsoid((0, -82 + 9 * i, -45), (11, 0.9, 12))) for i in range(5)),
        (Tissue.BONE, Ellipsoid((0, -86, -14), (24, 9, 15))),
        *both((Tissue.GAS, Ellipsoid((9, -88, -14), (8, 4.5, 10)))),  # frontal sinus
    )


def _face() -> Scene:
    return (
        *both(
            (Tissue.BONE, Ellipsoid((28, -60, -72), (17, 21, 19))),
            (Tissue.GAS, Ellipsoid((28, -60, -72), (15.2, 19, 17))),  # maxillary sinus
            (Tissue.BONE, Tube(((46, -70, -60), (66, -40, -60), (70, -8, -54)), (5, 3.5, 4))),  # zygomatic arch
            (Tissue.BONE, Tube(((56, 2, -58), (52, -4, -96), (38, -46, -114), (0, -80, -120)), (6, 7, 6, 7))),
            (Tissue.BONE, Tube(((26, -44, -92), (21, -68, -94), (0, -80, -94)), (6, 6, 6))),  # upper teeth
        ),
        (Tissue.AIR, Ellipsoid((0, -72, -66), (12, 30, 20))),  # nasal cavity
        (Tissue.BONE, Ellipsoid((0, -68, -66), (1.0, 32, 20))),
        *both((Tissue.MUSCLE, Ellipsoid((7, -60, -70), (3, 22, 6)))),  # turbinates
        (Tissue.BONE, Clipped(Ellipsoid((0, -55, -86), (24, 30, 4)), (-30, -90, -90), (30, -20, -84))),
        (Tissue.MUSCLE, Ellipsoid((0, -48, -104), (26, 32, 17))),  # tongue
        (Tissue.AIR, Tube(((0, -28, -70), (0, -8, -92), (0, 2, -320)), (9, 8, 8))),  # pharynx
    )


def _neck() -> Scene:
    vertebrae: list[Stroke] = []
    for index in range(11):
        y, z = 10.0 + 2 * index, -94.0 - 19 * index
        vertebrae += [
            (Tissue.BONE, cylinder((0, y, z), (13, 11), 15)),
            (Tissue.MARROW, cylinder((0, y, z), (11, 9), 12)),
            (Tissue.DISC, cylinder((0, y, z - 9.5), (11, 9), 4)),
            (Tissue.BONE, Tube(((0, y + 28, z), (0, y + 46, z - 8)), (5, 4))),
            *both((Tissue.BONE, Tube(((17, y + 8, z), (14, y + 22, z), (0, y + 30, z)), (6, 4, 4)))),
        ]
    return (
        *vertebrae,
        (Tissue.FLUID, Tube(((0, 27, -88), (0, 53, -320)), (9, 9))),
        (Tissue.NERVE, Tube(((0, 27, -86), (0, 53, -320)), (5.5, 5))),
    )
