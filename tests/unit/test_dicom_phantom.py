"""The images show what they are called: values where a radiographer looks for them, not only shapes."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from app.dicom.phantom.noise import add_noise, reach
from app.dicom.phantom.painted import kept
from app.dicom.phantom.radiograph import COLUMNS, ROWS, Projection
from app.dicom.phantom.sections import CT_INTERCEPT, Contrast, Stack
from app.dicom.phantom.shapes import Anatomy, Clipped, Ellipsoid, Shape, Tube
from app.dicom.phantom.view import AXIAL, CORONAL, SAGITTAL, View, samples
from app.domain.procedures import BODY_PARTS

KEY = b"some noise"
GOLDEN = "8834a3f05eea082f"

Image = npt.NDArray[np.int64]


def ct(body_part: str, view: View = AXIAL, index: int = 20, size: int = 256) -> Image:
    """HU of one of 40 slices."""
    stack = Stack(body_part, right=False, view=view, size=size, count=40)
    return stack.pixels(index, "CT", KEY).astype(np.int64) + CT_INTERCEPT


def mr(contrast: Contrast, index: int = 20) -> Image:
    return Stack("BRAIN", right=False, view=AXIAL, size=256, count=40).pixels(index, contrast, KEY).astype(np.int64)


def radiograph(body_part: str, position: str, right: bool = False) -> Image:
    return Projection(body_part, right, position, tiny=True).pixels(KEY).astype(np.int64)


def patch(image: Image, row: float, column: float) -> float:
    """Mean of a small square; row and column as shares of the image."""
    r, c = int(row * image.shape[0]), int(column * image.shape[1])
    return float(image[r - 2 : r + 3, c - 2 : c + 3].mean())


# --- CT ---------------------------------------------------------------------------------------------------------------


def test_ct_of_the_chest_shows_air_lungs_heart_spine() -> None:
    image = ct("CHEST")
    corner = image[:10, :10]
    assert -1010 < corner.mean() < -960
    for side in (0.28, 0.72):
        assert -900 < patch(image, 0.4, side) < -820  # lungs
    assert patch(image, 0.62, 0.5) > 200  # vertebral body
    inside = (image > -200) & (image < 200)
    assert 0.15 < inside.mean() < 0.5


def test_ct_of_the_abdomen_shows_the_liver_on_the_image_s_left() -> None:
    image = ct("ABDOMEN", index=10)
    assert 95 < patch(image, 0.4, 0.3) < 120
    assert patch(image, 0.4, 0.3) > patch(image, 0.4, 0.7) + 100  # fat and stomach on the other side


def test_ct_of_the_head_has_a_skull_around_a_brain() -> None:
    image = ct("HEAD")
    middle = image[128]
    first, last = np.flatnonzero(middle > 700)[[0, -1]]
    brain = image[100:156, first + 20 : last - 20]
    assert 0 < brain.mean() < 60
    assert np.all(middle[: first - 20] < -900)
    assert last - first > 120  # skull is 15 cm wide
    grey_and_white = np.percentile(brain, [20, 80])
    assert grey_and_white[1] - grey_and_white[0] > 5


@pytest.mark.parametrize("body_part", BODY_PARTS)
def test_bone_is_denser_than_soft_tissue_than_fat_than_air(body_part: str) -> None:
    image = ct(body_part)
    assert image.max() > 700
    assert image.min() < -950
    assert np.any((image > 20) & (image < 90))
    assert np.any((image > -130) & (image < -70))


@pytest.mark.parametrize("view", [AXIAL, SAGITTAL, CORONAL], ids=["axial", "sagittal", "coronal"])
@pytest.mark.parametrize("body_part", BODY_PARTS)
def test_slices_change_along_the_stack(body_part: str, view: View) -> None:
    slices = [ct(body_part, view, index, size=64) for index in range(0, 40, 4)]
    for one, next_one in pairwise(slices):
        assert np.abs(one - next_one).max() > 100


def test_the_same_anatomy_is_at_the_same_place_in_every_plane() -> None:
    stacks = [Stack("CHEST", False, view, 64, 400) for view in (AXIAL, SAGITTAL, CORONAL)]
    slices = [(stack, [stack.pixels(i, "CT", KEY).astype(np.int64) for i in range(0, 400, 40)]) for stack in stacks]
    volumes = []
    for stack, images in slices:
        points = {}
        for number, image in enumerate(images):
            position = np.array(stack.position(number * 40))
            for row in range(8, 56, 6):
                for column in range(8, 56, 6):
                    across, down = np.array(stack.view.across.cosines), np.array(stack.view.down.cosines)
                    point = position + stack.pixel_spacing * (column * across + row * down)
                    points[tuple(np.round(point / 25).astype(int))] = image[row, column]
        volumes.append(points)
    shared = set(volumes[0]) & set(volumes[1])
    assert len(shared) > 20
    alike = [abs(int(volumes[0][p]) - int(volumes[1][p])) < 250 for p in shared]
    assert np.mean(alike) > 0.6


# --- MR ---------------------------------------------------------------------------------------------------------------


def test_mr_contrasts_are_those_of_the_sequences() -> None:
    """White matter is brighter than grey on T1 and darker on T2; fluid is bright on T2 and dark on FLAIR."""
    grey, white, fluid = (0.50, 0.44), (0.34, 0.45), (0.495, 0.5)  # thalamus, frontal white matter, third ventricle
    t1, t2, flair = mr("T1"), mr("T2"), mr("FLAIR")
    assert patch(t1, *white) > patch(t1, *grey)
    assert patch(t2, *white) < patch(t2, *grey)
    column = slice(124, 133)
    row = int(fluid[0] * 256)
    assert t2[row, column].max() > 700
    assert flair[row, column].min() < 200
    for image in (t1, t2, flair):
        assert image[:8, :8].mean() < 60  # air


# --- Radiographs ------------------------------------------------------------------------------------------------------


def test_a_chest_radiograph_has_dark_lungs_beside_a_bright_spine() -> None:
    image = radiograph("CHEST", "PA")
    for side in (0.33, 0.65):
        assert patch(image, 0.42, side) < 0.75 * patch(image, 0.42, 0.5)
    assert patch(image, 0.62, 0.58) > patch(image, 0.62, 0.36)  # the heart lies to the patient's left
    assert patch(image, 0.85, 0.3) > patch(image, 0.42, 0.33)  # liver below the lung


def test_a_hand_has_fingers_with_gaps_and_bones() -> None:
    image = Projection("HAND", False, "AP", tiny=False).pixels(KEY).astype(np.int64)
    line = image[int(0.22 * ROWS)]  # across the fingers
    inside = line > 3 * reach(9)
    fingers = np.flatnonzero(np.diff(inside.astype(int)) == 1).size
    assert fingers == 4
    assert image[0, 0] <= 2 * reach(9)
    assert image.max() > 3000


@pytest.mark.parametrize("body_part", ["HAND", "FOOT", "KNEE"])
def test_right_is_the_mirror_image_of_left(body_part: str) -> None:
    left, right = radiograph(body_part, "AP"), radiograph(body_part, "AP", right=True)
    assert np.abs(left - right).max() > 200
    assert np.abs(left - right[:, ::-1]).max() <= 250  # noise, and rays on the very edge of a bone


@pytest.mark.parametrize("body_part", BODY_PARTS)
def test_views_of_a_part_differ(body_part: str) -> None:
    views = [radiograph(body_part, position) for position in ("AP", "LL", "LLO")]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(views[i] - views[j]).max() > 300


def test_a_decubitus_view_lies_on_its_side() -> None:
    lying = Projection("ABDOMEN", False, "LLD", tiny=True).view
    assert (lying.across.letter, lying.down.letter) == ("H", "L")
    assert np.abs(np.rot90(radiograph("ABDOMEN", "AP"), -1) - radiograph("ABDOMEN", "LLD")).max() < 100


@pytest.mark.parametrize("body_part", ["CHEST", "HAND", "PELVIS"])
def test_full_and_tiny_show_the_same(body_part: str) -> None:
    full = Projection(body_part, False, "AP", tiny=False)
    assert full.pixels(KEY).shape == (ROWS, COLUMNS)
    assert full.pixels(KEY).max() < 4096
    small = radiograph(body_part, "AP")
    spine = full.pixels(KEY).astype(np.int64)[:, COLUMNS * 2 // 5 : COLUMNS * 3 // 5].mean(axis=1)
    bands = [band.mean() for band in np.array_split(spine, 64)]
    assert np.corrcoef(bands, small[:, 27:37].mean(axis=1))[0, 1] > 0.8


# --- Geometry and noise -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 60, 400])
@pytest.mark.parametrize("view", [AXIAL, SAGITTAL, CORONAL], ids=["axial", "sagittal", "coronal"])
def test_slices_are_evenly_spaced_around_the_middle(view: View, count: int) -> None:
    stack = Stack("CHEST", False, view, 64, count)
    positions = np.array([stack.position(index) for index in range(count)])
    along = positions[:, view.normal]
    assert len(set(along)) == count
    assert np.allclose(np.abs(np.diff(along)), stack.slice_spacing, atol=1e-3)
    others = [axis for axis in range(3) if axis != view.normal]
    assert np.ptp(positions[:, others], axis=0).max() == 0


def test_noise_keeps_its_strength_and_its_bounds() -> None:
    clean = np.full((256, 256), 1000, dtype=np.uint16)
    noise = add_noise(clean, 10, KEY).astype(np.int64) - 1000
    assert abs(noise.mean()) < 0.6
    assert 9 < noise.std() < 11
    assert np.abs(noise).max() <= reach(10)
    assert not np.array_equal(add_noise(clean, 10, b"other"), add_noise(clean, 10, KEY))


def test_stored_values_stay_within_twelve_bits() -> None:
    for contrast in ("T1", "T2", "FLAIR", "PD"):
        for index in range(0, 40, 5):
            assert mr(contrast, index).max() < 4096


def test_clean_images_can_not_be_changed_by_those_who_use_them() -> None:
    stack = Stack("CHEST", False, AXIAL, 64, 3)
    before = stack.pixels(1, "CT", KEY)
    stack.pixels(1, "CT", KEY)[:] = 0
    assert np.array_equal(stack.pixels(1, "CT", KEY), before)


def test_painted_images_are_the_same_on_every_machine() -> None:
    """Only operations that IEEE 754 rounds exactly were used; a difference here is a difference between workers."""
    digest = hashlib.sha256()
    for body_part in BODY_PARTS:
        for view in (AXIAL, SAGITTAL, CORONAL):
            digest.update(Stack(body_part, True, view, 64, 40).pixels(13, "CT", KEY).tobytes())
        for position in ("AP", "LL", "LLO"):
            digest.update(Projection(body_part, True, position, tiny=True).pixels(KEY).tobytes())
    assert digest.hexdigest()[:16] == GOLDEN


SHAPES: list[Shape] = [
    Ellipsoid((3, -2, 5), (9, 5, 7), along=(4, 3)),
    Ellipsoid((3, -2, 5), (9, 5, 7), along=(1, 2), squareness=0.8),
    Tube(((0, 0, 0), (6, 2, 8), (9, 9, 9)), (2, 4, 1)),
    Clipped(Ellipsoid((1, 1, 1), (8, 8, 8)), (-20, -20, 0), (20, 20, 4)),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_a_shape_stays_within_its_bounds(shape: Shape) -> None:
    """The painter looks nowhere else, so a shape that reaches further would be cut off."""
    axis = samples(0, 61, 1.0)
    inner = shape.shape if isinstance(shape, Clipped) else shape
    inside = np.argwhere(inner.inside(axis[None, None, :], axis[None, :, None], axis[:, None, None]))[:, ::-1] - 30
    low, high = inner.bounds
    assert len(inside) > 50
    assert np.all(inside >= np.array(low) - 1e-9)
    assert np.all(inside <= np.array(high) + 1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_mirroring_and_turning_move_the_whole_shape(shape: Shape) -> None:
    axis = samples(0, 61, 1.0)
    painted = Anatomy([(7, shape)]).paint(axis, axis, axis)
    assert np.array_equal(Anatomy([(7, shape.mirrored())]).paint(axis, axis, axis), painted[:, :, ::-1])
    quarter = Anatomy([(7, shape.turned((0, 1)))]).paint(axis, axis, axis)
    assert np.array_equal(quarter, np.rot90(painted, k=-1, axes=(1, 2)))


def test_a_later_stroke_covers_an_earlier_one() -> None:
    axis = samples(0, 21, 1.0)
    labels = Anatomy([(1, Ellipsoid((0, 0, 0), (8, 8, 8))), (2, Ellipsoid((0, 0, 0), (4, 4, 4)))]).paint(
        axis, axis, axis
    )
    assert labels[10, 10, 10] == 2
    assert labels[10, 10, 16] == 1
    assert labels[0, 0, 0] == 0


def test_threads_that_need_the_same_painting_paint_it_once() -> None:
    together = threading.Barrier(4)
    painted = []

    @kept(2)
    def paint(body_part: str) -> str:
        painted.append(body_part)
        time.sleep(0.05)  # time for the others to come
        return body_part.lower()

    def need(body_part: str) -> str:
        together.wait()
        return paint(body_part)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(need, ["KNEE", "KNEE", "HAND", "KNEE"])) == ["knee", "knee", "hand", "knee"]
    assert sorted(painted) == ["HAND", "KNEE"]
