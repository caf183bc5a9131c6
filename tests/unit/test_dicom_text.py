"""Names and texts in the forms that DICOM's value representations allow."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.person_name import normal_pn, to_pn
from app.dicom.text import ASCII, LATIN_1, UTF_8, character_set_of, da, ds, lo, lt, sh, tm
from app.domain.order import PersonName
from tests.unit.dicom_orders import patients


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (
            PersonName("Adams", "John", "Robert Quincy", suffix="B.A.", prefix="Rev."),
            "Adams^John^Robert Quincy^Rev.^B.A.",
        ),
        (PersonName("Adams"), "Adams"),
        (PersonName("Adams", suffix="Jr."), "Adams^^^^Jr."),
        (PersonName("Adams", prefix="Dr."), "Adams^^^Dr."),
        (PersonName(""), ""),
        (PersonName("van den Berg", "Jan-Peter"), "van den Berg^Jan-Peter"),
        (PersonName("O'Brien", "Ann"), "O'Brien^Ann"),
        (PersonName("a^b", "c=d", "e\\f"), "a b^c d^e/f"),
        (PersonName(" padded ", "\tx\r\n"), "padded^x"),
    ],
)
def test_pn_has_the_parts_in_dicom_s_order(name: PersonName, written: str) -> None:
    assert to_pn(name) == written


@pytest.mark.parametrize(
    ("found", "normal"),
    [
        ("Adams^John^^^", "Adams^John"),
        ("Adams^John ", "Adams^John"),
        ("Adams ^ John", "Adams^John"),
        ("Yamada^Tarou==", "Yamada^Tarou"),
        ("Yamada^Tarou^^=山田^太郎^=", "Yamada^Tarou=山田^太郎"),
        ("", ""),
        ("^^^^", ""),
    ],
)
def test_names_are_compared_without_what_means_nothing(found: str, normal: str) -> None:
    assert normal_pn(found) == normal


PARTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.builds(PersonName, PARTS, PARTS, PARTS, PARTS, PARTS))
def test_pn_is_one_group_of_five_components_and_64_characters(name: PersonName) -> None:
    text = to_pn(name)
    assert len(text) <= 64
    assert text.count("^") <= 4
    assert not set(text) & set("=\\\r\n\t\x00")
    assert normal_pn(text) == text


def test_planned_names_are_never_cut() -> None:
    for order in patients(200):
        name = order.patient.name
        joined = "^".join((name.family, name.given, name.middle, name.prefix, name.suffix)).rstrip("^")
        assert to_pn(name) == joined


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_text_keeps_its_length_limits_and_its_value_multiplicity(text: str) -> None:
    for form, limit in ((lo, 64), (sh, 16)):
        value = form(text)
        assert len(value) <= limit
        assert "\\" not in value
        assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in value)
    assert len(lt(text)) == len(text)


def test_long_text_keeps_backslashes_and_line_ends() -> None:
    assert lt("a\\b\r\nc\x0cd\te\x1bf") == "a\\b\r\nc\x0cd e f"
    assert lo("a\\b\r\nc") == "a/b  c"


@pytest.mark.parametrize(("text", "needed"), [("", ASCII), ("Ann", ASCII), ("Ä", LATIN_1), ("Ő", UTF_8), ("€", UTF_8)])
def test_character_set(text: str, needed: str) -> None:
    assert character_set_of(text) == needed


def test_dates_and_times() -> None:
    assert da(date(987, 1, 2)) == "09870102"
    assert da(None) == ""
    assert tm(datetime(2026, 1, 5, 8, 3, 9)) == "080309"  # noqa: DTZ001
    assert tm(datetime(2026, 1, 5, 8, 3, 9, 40)) == "080309.000040"  # noqa: DTZ001


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_decimal_strings_are_short_and_close(number: float) -> None:
    text = ds(number)
    assert len(text) <= 16
    assert abs(float(text) - number) <= 5.1e-5
    assert text != "-0"
