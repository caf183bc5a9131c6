"""Instances for people to look at: one out of a study, its elements as a list, its picture."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest

from app.dicom.listing import list_elements
from app.dicom.study import generate_header, generate_study, instance_pixels
from app.dicom.thumbnail import LARGEST, thumbnail, write_png
from app.domain.order import MODALITIES, Modality
from tests.unit.dicom_orders import data_sets, one_of, written_out

PIXEL_DATA = b"\xe0\x7f\x10\x00OW\0\0"


def read_png(data: bytes) -> npt.NDArray[np.uint8]:
    """The pixels of a PNG without filters; its checksums are held against its chunks."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind, content = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length)[0] == zlib.crc32(kind + content)
        chunks[kind] = content
        position += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    columns, rows, *kind_of_image = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind_of_image == [8, 0, 0, 0, 0]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


# --- one instance -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_header_alone_is_that_of_the_whole_study(modality: Modality) -> None:
    order = written_out(modality)
    whole = [bytes(instance.data) for instance in generate_study(order)]
    places = [(series, number) for series in (1, 2) for number in (1, 2, 3)]
    for data, (series, number) in zip(whole, places, strict=True):
        before, pixels = data.split(PIXEL_DATA, 1)
        assert generate_header(order, series, number) == before + PIXEL_DATA + bytes(4)
        assert pixels[4:] == instance_pixels(order.study, series, number).tobytes()


# --- its elements -----------------------------------------------------------------------------------------------------


def test_elements_are_listed_with_those_of_sequences_behind_them() -> None:
    order = written_out("DX")
    lines = [(line.tag, line.name, line.vr, line.value) for line in list_elements(generate_header(order, 2, 3))]
    assert ("(0010,0010)", "Patient's Name", "PN", "Müller^Änne^M^Dr.^Jr.") in lines
    assert ("(0008,0008)", "Image Type", "CS", "ORIGINAL\\PRIMARY") in lines
    at = lines.index(("(0008,1032)", "Procedure Code Sequence", "SQ", "1 item"))
    assert lines[at + 1] == ("(0008,0100)", "Code Value", "SH", "P1")
    depths = [line.depth for line in list_elements(generate_header(order, 2, 3))]
    assert depths[at : at + 5] == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_element_but_the_pixels_is_listed(modality: Modality) -> None:
    order = written_out(modality)
    listed = [line.tag for line in list_elements(generate_header(order, 1, 1)) if line.depth == 0]
    there = [f"({tag.group:04X},{tag.element:04X})" for tag in data_sets(order)[0].keys()]  # noqa: SIM118 - not a dict
    assert listed == [tag for tag in there if tag != "(7FE0,0010)"]


# --- its picture ------------------------------------------------------------------------------------------------------


def test_a_png_holds_the_image() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3) * 50
    assert read_png(write_png(image)).tolist() == image.tolist()


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_thumbnail_shows_dark_and_light(modality: Modality) -> None:
    plan = one_of(modality).study
    pixels, shown = instance_pixels(plan, 1, 1), read_png(thumbnail(plan, 1, 1))
    assert shown.shape == pixels.shape  # tiny: small enough as they are
    assert np.percentile(shown, 5) < 40
    assert np.percentile(shown, 99) > 150
    order = np.argsort(pixels, axis=None, kind="stable")
    assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all(), "what is brighter is not shown darker"


def test_a_large_image_is_reduced_to_means() -> None:
    plan = one_of("CT", pixels="full").study
    shown = read_png(thumbnail(plan, 1, 1))
    assert shown.shape == (LARGEST, LARGEST)
    stored = instance_pixels(plan, 1, 1)[200:202, 200:202].mean()
    hounsfield = stored - 1024
    assert shown[100, 100] == round(min(max((hounsfield - (40 - 0.5)) / (400 - 1) + 0.5, 0), 1) * 255)
