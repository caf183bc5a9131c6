"""The population: the shares a template asks for, and the traps, really occur."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.draws import Draws
from app.domain.identity import decode_number
from app.domain.name_pools import name_pool
from app.domain.order import Patient
from app.domain.patient import ISSUER_UID, MAX_NAME, Patients
from app.domain.template import LOCALES, Population
from app.hl7.person_name import xpn_text
from tests.unit.sample_orders import RUN_KEY, SEED

TODAY = date(2026, 1, 5)
ORDERS = 6000


def patients(seed: int = SEED, run_key: str = RUN_KEY, **shares: object) -> Patients:
    return Patients(Population.model_validate(shares), seed, run_key, TODAY)


def distinct(population: Patients, orders: int = ORDERS) -> dict[str, Patient]:
    """Patients by ID; an ID that returns must come with the same demographics."""
    found: dict[str, Patient] = {}
    for number in range(orders):
        patient = population.of_order(number)
        assert found.setdefault(patient.patient_id, patient) == patient
    return found


def share(found: dict[str, Patient], condition) -> float:
    return sum(map(condition, found.values())) / len(found)


def index(patient_id: str) -> int:
    return decode_number(patient_id[-5:])


@pytest.fixture(scope="module")
def mixed() -> dict[str, Patient]:
    return distinct(patients(locales=LOCALES))


@pytest.mark.parametrize("wanted", [0.0, 0.15, 0.6])
def test_repeat_patients_have_their_share_of_orders(wanted: float) -> None:
    found = distinct(patients(repeat_patients=wanted))
    assert 1 - len(found) / ORDERS == pytest.approx(wanted, abs=0.03)


def test_a_repeat_order_is_for_a_patient_of_an_earlier_order() -> None:
    population = patients(repeat_patients=0.9)
    assert all(index(population.of_order(number).patient_id) <= number for number in range(500))


def test_with_repeats_only_the_first_patient_has_every_order() -> None:
    assert len(distinct(patients(repeat_patients=1.0, twins=0.0), 200)) == 1


@pytest.mark.parametrize(("wanted", "repeats"), [(0.0, 0.15), (0.01, 0.15), (0.2, 0.5), (1.0, 0.15)])
def test_twins_have_their_share_of_patients(wanted: float, repeats: float) -> None:
    found = distinct(patients(twins=wanted, repeat_patients=repeats, missing_birth_date=0.0))
    homes = Counter((p.name.family, p.birth_date, p.street, p.sex) for p in found.values())
    twins = sum(count for count in homes.values() if count == 2)
    assert twins / len(found) == pytest.approx(wanted, abs=0.02)
    assert max(homes.values()) <= 2


def test_twins_differ_in_the_given_name_and_the_last_of_the_id_only() -> None:
    found = distinct(patients(twins=1.0, locales=LOCALES, long_names=0.3, missing_birth_date=0.5, unknown_sex=0.3), 400)
    by_index = {index(patient_id): patient for patient_id, patient in found.items()}
    for number in range(0, 400, 2):
        first, second = by_index[number], by_index[number + 1]
        assert first.name.given != second.name.given
        assert first.birth_date is not None
        for same in ("birth_date", "sex", "street", "city", "country", "phone", "issuer"):
            assert getattr(first, same) == getattr(second, same)
        for same in ("family", "middle", "suffix", "prefix"):
            assert getattr(first.name, same) == getattr(second.name, same)


def test_the_given_names_of_twins_are_neighbours_in_the_alphabet() -> None:
    population = patients(twins=1.0, locales=["en"])
    pool = name_pool("en")
    for number in range(0, 100, 2):
        names = pool.male_given if population.of_order(number).name.given in pool.male_given else pool.female_given
        first, second = (names.index(population.of_order(n).name.given) for n in (number, number + 1))
        assert (second - first) % len(names) == 1


@pytest.mark.parametrize(
    ("setting", "condition"),
    [
        ("missing_birth_date", lambda patient: patient.birth_date is None),
        ("unknown_sex", lambda patient: patient.sex in ("", "O")),
        ("suffixes", lambda patient: patient.name.suffix != ""),
        ("long_names", lambda patient: patient.name.family.count("-") >= 2),
    ],
)
@pytest.mark.parametrize("wanted", [0.0, 0.1, 1.0])
def test_each_trap_has_its_share(setting: str, condition, wanted: float) -> None:
    found = distinct(patients(**{setting: wanted, "twins": 0.0, "locales": ["en", "de", "fr"]}), 2000)
    assert share(found, condition) == pytest.approx(wanted, abs=0.03)


def test_every_locale_has_its_share(mixed: dict[str, Patient]) -> None:
    countries = Counter(patient.country for patient in mixed.values())
    assert len(countries) == len(LOCALES)
    for count in countries.values():
        assert count / len(mixed) == pytest.approx(1 / len(LOCALES), abs=0.02)


def test_unknown_sex_is_both_empty_and_other(mixed: dict[str, Patient]) -> None:
    assert {patient.sex for patient in mixed.values()} == {"M", "F", "O", ""}


def test_long_names_fill_what_a_name_may_have(mixed: dict[str, Patient]) -> None:
    assert 40 <= max(len(xpn_text(patient.name)) for patient in mixed.values()) <= MAX_NAME


def test_hyphens_apostrophes_and_scripts_occur(mixed: dict[str, Patient]) -> None:
    names = " ".join(patient.name.family for patient in mixed.values())
    assert "'" in names
    assert "-" in names
    scripts = {unicodedata.name(character).split()[0] for character in names if character.isalpha()}
    assert {"LATIN", "GREEK", "CYRILLIC", "CJK", "HANGUL"} <= scripts


def test_delimiters_of_hl7_occur_in_streets(mixed: dict[str, Patient]) -> None:
    streets = "".join(patient.street for patient in mixed.values())
    assert set("|^~&") <= set(streets)


def test_names_hold_no_delimiter_and_no_control_character(mixed: dict[str, Patient]) -> None:
    for patient in mixed.values():
        for part in (patient.name.family, patient.name.given, patient.name.middle, patient.name.suffix):
            assert not re.search(r"[\^=\\&~|\x00-\x1f\x7f-\x9f]", part)
            assert part == unicodedata.normalize("NFC", part).strip()
        assert patient.name.family
        assert patient.name.given


def test_no_value_holds_a_backslash_or_a_control_character(mixed: dict[str, Patient]) -> None:
    for patient in mixed.values():
        for value in (patient.street, patient.city, patient.postal_code, patient.phone, patient.allergies):
            assert not re.search(r"[\\\x00-\x1f\x7f-\x9f]", value)


def test_lengths_fit_hl7_and_dicom(mixed: dict[str, Patient]) -> None:
    for patient in mixed.values():
        assert len(patient.patient_id) <= 16
        assert len(xpn_text(patient.name)) <= MAX_NAME
        address = f"{patient.street}^^{patient.city}^^{patient.postal_code}^{patient.country}"
        assert len(address) <= 106  # PID-11 in 2.3.1
        assert len(patient.street) <= 64
        assert len(patient.phone) <= 16


def test_ages_and_bodies_are_possible(mixed: dict[str, Patient]) -> None:
    for patient in mixed.values():
        if patient.birth_date is not None:
            assert date(1926, 1, 1) < patient.birth_date <= TODAY
        if patient.weight_kg is not None:
            assert 0.49 < (patient.height_m or 0) < 2
            assert 2 < patient.weight_kg < 150
    assert {patient.weight_kg is None for patient in mixed.values()} == {True, False}


def test_identity_comes_from_the_run_key_and_content_from_the_seed() -> None:
    one, other_key, other_seed = patients(), patients(run_key="00000000"), patients(seed=1)
    for number in range(50):
        patient, same, different = (population.of_order(number) for population in (one, other_key, other_seed))
        assert patient.name == same.name
        assert patient.patient_id.startswith(f"Y{RUN_KEY}")
        assert same.patient_id == patient.patient_id.replace(RUN_KEY, "00000000")
        assert different.name != patient.name or different.street != patient.street


def test_the_issuer_is_a_valid_uid() -> None:
    assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", ISSUER_UID)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_locale_has_a_pool_to_pick_from(locale: str) -> None:
    pool = name_pool(locale)
    for values in (pool.male_given, pool.female_given, pool.male_family, pool.female_family, pool.streets):
        assert len(values) >= 40
        assert list(values) == sorted(set(values))
    assert name_pool(locale) is pool


# --- Draws ------------------------------------------------------------------------------------------------------------

keys = st.lists(st.integers() | st.text(), min_size=1, max_size=3)


@given(keys, st.integers(1, 10**6))
def test_draws_depend_on_their_key_alone(key: list[int | str], bound: int) -> None:
    assert [Draws(*key).below(bound) for _ in range(2)] == [Draws(*key).below(bound)] * 2
    assert 0 <= Draws(*key).below(bound) < bound


def test_draws_are_the_same_for_ever() -> None:
    draws = Draws(7, "order", 17)
    assert [draws.below(1000) for _ in range(10)] == [39, 640, 707, 508, 368, 154, 751, 497, 970, 910]


def test_draws_are_uniform() -> None:
    draws = Draws("uniform")
    counts = Counter(draws.below(10) for _ in range(20_000))
    assert all(count == pytest.approx(2000, rel=0.1) for count in counts.values())
    assert sum(draws.chance(0.3) for _ in range(20_000)) == pytest.approx(6000, rel=0.05)
    assert not any(draws.chance(0.0) for _ in range(1000))
    assert all(draws.chance(1.0) for _ in range(1000))
    assert {draws.between(3, 5) for _ in range(100)} == {3, 4, 5}
