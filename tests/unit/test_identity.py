"""Identity: who an order is, from the run key and its number alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import identity

numbers = st.integers(0, identity.MAX_ORDERS - 1)
run_keys = st.text(identity.ALPHABET, min_size=8, max_size=8)


@given(numbers)
def test_a_number_survives_its_five_characters(number: int) -> None:
    text = identity.encode_number(number)
    assert len(text) == 5
    assert identity.decode_number(text) == number


@given(numbers, numbers)
def test_the_characters_sort_as_the_numbers_do(one: int, other: int) -> None:
    assert (identity.encode_number(one) < identity.encode_number(other)) == (one < other)


@pytest.mark.parametrize("number", [-1, identity.MAX_ORDERS])
def test_a_number_that_does_not_fit_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        identity.encode_number(number)


@pytest.mark.parametrize("text", ["", "0000", "000000", "0000I", "0000l", "00 00"])
def test_what_is_no_order_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an order number"):
        identity.decode_number(text)


@given(run_keys, numbers)
def test_identifiers_fit_their_fields_and_are_told_apart(key: str, number: int) -> None:
    accession = identity.accession_number(key, number)
    placer, filler = identity.placer_order_number(key, number), identity.filler_order_number(key, number)
    control_id = identity.message_control_id(key, number)
    assert all(len(value) <= 16 for value in (accession, placer, filler, control_id))
    assert len({accession, placer, filler, control_id}) == 4
    assert identity.order_number_of(key, accession) == number


def test_an_accession_number_of_another_run_is_nobodys() -> None:
    assert identity.order_number_of("AAAAAAAA", "BBBBBBBB00001") is None
    assert identity.order_number_of("AAAAAAAA", "AAAAAAAAxxxxx") is None


@given(run_keys, numbers, st.integers(1, 9), st.integers(1, 999))
def test_uids_are_valid_and_depend_on_every_part_of_the_position(
    key: str, number: int, series: int, instance: int
) -> None:
    uids = {
        identity.study_uid(key, number),
        identity.series_uid(key, number, series),
        identity.instance_uid(key, number, series, instance),
        identity.instance_uid(key, number, series, instance + 1),
        identity.instance_uid(key, number, series + 1, instance),
    }
    assert len(uids) == 5
    for uid in uids:
        assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", uid)  # PS3.5 B.2: no leading zero, at most 64 characters


def test_a_uid_is_a_version_8_uuid() -> None:
    value = int(identity.study_uid("7K3QX0AB", 1).removeprefix("2.25."))
    assert (value >> 76) & 0xF == 8
    assert (value >> 62) & 0x3 == 2


def test_new_run_keys_are_run_keys_and_differ() -> None:
    keys = {identity.new_run_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(identity.is_run_key(key) for key in keys)
    assert not identity.is_run_key("abcdefgh")
