"""The left knee; z 0 lies at the joint space."""

from __future__ import annotations

from functools import lru_cache

from app.dicom.phantom.shapes import Anatomy, Ellipsoid, Scene, Tube
from app.dicom.phantom.tissue import Tissue


@lru_cache(maxsize=1)
def knee() -> Anatomy:
    return Anatomy((*_soft_tissue(), *_femur(), *_tibia(), *_joint()))


def _soft_tissue() -> Scene:
    return (
        (Tissue.FAT, Tube(((0, 8, 140), (0, 4, 0), (0, 6, -140)), (70, 58, 54))),
        (Tissue.MUSCLE, Tube(((0, -24, 150), (0, -30, 40)), (56, 16))),  # quadriceps
        (Tissue.MUSCLE, Tube(((-32, 34, 150), (-40, 32, 0)), (34, 10))),
        (Tissue.MUSCLE, Tube(((32, 34, 150), (40, 32, 0)), (34, 10))),
        (Tissue.MUSCLE, Tube(((-20, 38, 10), (-22, 28, -140)), (12, 30))),  # gastrocnemius
        (Tissue.MUSCLE, Tube(((20, 38, 10), (22, 28, -140)), (12, 30))),
        (Tissue.MUSCLE, Tube(((24, -14, -40), (24, -14, -140)), (10, 26))),
        (Tissue.BLOOD, Tube(((2, 44, 140), (2, 40, -140)), (4.5, 4))),
        (Tissue.BLOOD, Tube(((-8, 46, 140), (-7, 42, -140)), (4, 3.5))),
    )


def _femur() -> Scene:
    shaft = ((0, 0, 160), (0, 2, 80), (0, 4, 50), (0, 6, 30))
    return (
        (Tissue.BONE, Tube(shaft, (15, 16, 22, 30))),
        (Tissue.CARTILAGE, Ellipsoid((-22, 8, 20), (23, 33, 21))),
        (Tissue.CARTILAGE, Ellipsoid((22, 8, 20), (23, 33, 21))),
        (Tissue.BONE, Ellipsoid((-22, 8, 21), (21, 31, 20))),
        (Tissue.BONE, Ellipsoid((22, 8, 21), (21, 31, 20))),
        (Tissue.MARROW, Ellipsoid((-22, 8, 21), (19.5, 29.5, 18.5))),
        (Tissue.MARROW, Ellipsoid((22, 8, 21), (19.5, 29.5, 18.5))),
        (Tissue.MARROW, Tube(shaft, (8, 11, 20, 28))),
        (Tissue.FAT, Ellipsoid((0, 36, 8), (6, 16, 16))),  # intercondylar notch
    )


def _tibia() -> Scene:
    shaft = ((0, 2, -30), (0, -4, -60), (0, -8, -160))
    return (
        (Tissue.CARTILAGE, Ellipsoid((0, 4, -18), (42, 28, 16))),
        (Tissue.BONE, Ellipsoid((0, 4, -20), (41, 27, 16))),
        (Tissue.BONE, Tube(shaft, (26, 18, 14))),
        (Tissue.MARROW, Ellipsoid((0, 4, -20), (39, 25, 14.5))),
        (Tissue.MARROW, Tube(shaft, (24, 14, 8))),
        (Tissue.BONE, Tube(((38, 22, -36), (36, 22, -60), (34, 20, -160)), (9, 6.5, 6.5))),
        (Tissue.MARROW, Tube(((38, 22, -36), (36, 22, -60), (34, 20, -160)), (7, 3.5, 3))),
    )


def _joint() -> Scene:
    return (
        (Tissue.DISC, Ellipsoid((-24, 4, -2), (18, 24, 3.5))),  # menisci and joint fluid
        (Tissue.DISC, Ellipsoid((24, 4, -2), (18, 24, 3.5))),
        (Tissue.MUSCLE, Tube(((8, 16, 14), (-6, -6, -6)), (4, 4))),  # anterior cruciate ligament
        (Tissue.MUSCLE, Tube(((-8, 6, 10), (2, 28, -12)), (4, 4))),
        (Tissue.FAT, Ellipsoid((0, -34, -6), (26, 12, 20))),  # Hoffa's fat pad
        (Tissue.MUSCLE, Tube(((0, -50, 10), (0, -46, -10), (0, -32, -48)), (6, 5, 6))),  # patellar ligament
        (Tissue.CARTILAGE, Ellipsoid((0, -41, 20), (22, 10, 21))),
        (Tissue.BONE, Ellipsoid((0, -43, 20), (22, 10, 21))),
        (Tissue.MARROW, Ellipsoid((0, -43, 20), (20, 8, 19))),
    )
