"""Escape sequences: any text survives, and nothing special is left in what is sent."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.hl7.escaping import Delimiters, escape, unescape

SPECIAL = "|^~\\&\r\n\x0b\x1c\x00\t\x7f"
texts = st.text() | st.text(alphabet=st.sampled_from(SPECIAL + "AFSTREX0dé漢")) | st.from_regex(r"\\[FSRETX.]\w*\\")
other_delimiters = st.permutations("#*!@%").map(lambda characters: Delimiters(*characters))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a|b", "a\\F\\b"),
        ("a^b", "a\\S\\b"),
        ("a~b", "a\\R\\b"),
        ("a\\b", "a\\E\\b"),
        ("a&b", "a\\T\\b"),
        ("a\rb", "a\\X0D\\b"),
        ("a\nb", "a\\X0A\\b"),
        ("\x0ba\x1c\r", "\\X0B\\a\\X1C\\\\X0D\\"),
        ("Größe 漢字", "Größe 漢字"),
    ],
)
def test_every_special_character_has_its_sequence(text: str, escaped: str) -> None:
    assert escape(text) == escaped
    assert unescape(escaped) == text


@given(texts)
def test_any_text_survives(text: str) -> None:
    assert unescape(escape(text)) == text


@given(texts)
def test_what_is_sent_holds_no_delimiter_and_no_control_character(text: str) -> None:
    assert not re.search(r"[|^~&\x00-\x1f\x7f]", escape(text))


@given(texts | st.text(alphabet="#*!@%FSRTE"), other_delimiters)
def test_any_text_survives_with_other_delimiters(text: str, delimiters: Delimiters) -> None:
    escaped = delimiters.escape(text)
    assert delimiters.unescape(escaped) == text
    assert not set(escaped) & {delimiters.field, delimiters.component, delimiters.repetition, delimiters.subcomponent}


@given(st.text(alphabet=st.sampled_from("\\FSRTEXHNZ.br0D1")))
def test_anything_can_be_unescaped(text: str) -> None:
    unescape(text)


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("\\H\\bold\\N\\", "bold"),
        ("line\\.br\\line", "line\nline"),
        ("\\X41426D\\", "ABm"),
        ("\\Zab\\ is ours", "\\Zab\\ is ours"),
        ("\\Xnothex\\", "\\Xnothex\\"),
        ("50\\", "50\\"),
    ],
)
def test_sequences_of_others_are_read_or_left_alone(escaped: str, text: str) -> None:
    assert unescape(escaped) == text


def test_hexadecimal_data_is_in_the_character_set_of_the_message() -> None:
    assert Delimiters().unescape("\\XC3A4\\", "utf-8") == "ä"


@pytest.mark.parametrize("header", ["MSH|^~\\&|YEETER", "MSH|^~|YEETER", "MSH||YEETER"])
def test_delimiters_that_a_header_leaves_out_are_the_usual_ones(header: str) -> None:
    assert Delimiters.declared_by(header).encoding_characters == "^~\\&"


def test_a_header_declares_its_own_delimiters() -> None:
    delimiters = Delimiters.declared_by("MSH#*!@%#YEETER")
    assert (delimiters.field, delimiters.encoding_characters) == ("#", "*!@%")


@pytest.mark.parametrize("header", ["MSH|ABCD|X", "MSH|^~1&|X", "MSH|^ \\&|X", "MSH|^~\\\r|X"])
def test_letters_digits_and_spaces_are_no_delimiters(header: str) -> None:
    with pytest.raises(ValueError, match="MSH-2"):
        Delimiters.declared_by(header)


@pytest.mark.parametrize("header", ["", "MSH", "MSH|", "MSHA^~\\&A", "MSH ^~\\& ", "PID|1"])
def test_without_a_header_there_are_no_delimiters(header: str) -> None:
    with pytest.raises(ValueError, match="MSH"):
        Delimiters.declared_by(header)


def test_trailing_empty_components_are_left_out() -> None:
    assert Delimiters().components("a&b", "", "c^", "", "") == "a\\T\\b^^c\\S\\"


@pytest.mark.parametrize("delimiters", [Delimiters(), Delimiters("\x9f"), Delimiters("#", "@", "*", "!", "%")])
@given(texts=st.lists(st.text(st.sampled_from("aé漢|^~\\&#@*!%\x9f\r")), min_size=1))
def test_texts_that_are_escaped_together_are_escaped_each_by_itself(delimiters: Delimiters, texts: list[str]) -> None:
    assert delimiters.escape_each(texts) == [delimiters.escape(text) for text in texts]
