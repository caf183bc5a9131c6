"""The population of a run: who each order's patient is, and what is known of them.

Every order either brings a new patient or is for a patient seen before. A patient's index is the number of the order
that brought them, so the patient of any order is found without planning the orders before it. Content (demographics)
comes from the seed, identity (the patient ID) from the run's key.

Patients are traps on purpose: twins under neighbouring IDs, missing birth dates, unknown sex, suffixes, long names,
hyphens, apostrophes, several scripts, and HL7's delimiters in street names. Names hold none of DICOM's PN delimiters
(^ = and backslash), and never more than the 48 characters of PID-5 in HL7 2.3.1 (PN allows 64).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from app.domain.draws import Draws, first_chance
from app.domain.identity import encode_number, uid
from app.domain.name_pools import NOT_LATIN, NamePool, name_pool
from app.domain.order import Patient, PersonName, Sex
from app.domain.template import Population

ISSUER = "YEETER"
ISSUER_UID = uid("issuer", ISSUER)
MAX_NAME = 48

_CARETS = 4
_SUFFIXES = ("Jr.", "Sr.", "II", "III", "IV")
_OLDEST_DAYS = 36_000  # 98 years
_ADULT_YEARS = 18
_ALLERGIES = ("Penicillin", "Iodinated contrast", "Latex", "Nuts & shellfish", "Gadolinium")
_STREET_EXTRAS = (" & Annex", ", c/o Smith & Sons", " #4^B", " ~ rear", " 1|2")


class Patients:
    """The patients of one run."""

    def __init__(self, population: Population, seed: int, run_key: str, today: date) -> None:
        """``today`` is the date of the run's base time: ages are counted from it."""
        self._population = population
        self._seed = seed
        self._run_key = run_key
        self._today = today
        self._pools = tuple(name_pool(locale) for locale in population.locales)
        self._twin_pairs = _share_of_twin_pairs(population.twins, population.repeat_patients)

    def of_order(self, number: int) -> Patient:
        """The patient of the order of this number (from 0 on)."""
        index, twins = self._origin(number)
        second = index % 2 if twins else 0  # drawn exactly as the first twin, but for the given name
        draws = Draws(self._seed, "patient", index - second)
        pool = draws.pick(self._pools)
        sex: Sex = "M" if draws.chance(0.5) else "F"
        age = timedelta(days=draws.below(_OLDEST_DAYS))
        without_birth_date = draws.chance(self._population.missing_birth_date) and not twins
        sex_unknown = draws.chance(self._population.unknown_sex)
        sex_on_record: Sex = draws.pick(("", "O")) if sex_unknown else sex
        body = _body(draws, age.days / 365.25)
        return Patient(
            patient_id=f"Y{self._run_key}{encode_number(index)}",
            issuer=ISSUER,
            issuer_uid=ISSUER_UID,
            name=self._name(draws, pool, sex, second),
            birth_date=None if without_birth_date else self._today - age,
            sex=sex_on_record,
            street=draws.pick(pool.streets) + (draws.pick(_STREET_EXTRAS) if draws.chance(0.04) else ""),
            city=draws.pick(pool.cities),
            postal_code=draws.pick(pool.postal_codes),
            country=pool.country,
            phone=f"({draws.between(201, 989)})555-01{draws.below(100):02d}",  # set aside for fiction, and a valid TN
            allergies=draws.pick(_ALLERGIES) if draws.chance(0.1) else "",
            weight_kg=body.weight_kg,
            height_m=body.height_m,
        )

    def _origin(self, number: int) -> tuple[int, bool]:
        """The order that brought this order's patient (itself for a new one), and whether it brings twins."""
        repeats = self._population.repeat_patients
        while True:
            twins = self._brings_twins(number)
            if twins or number == 0 or repeats == 0:
                return number, twins
            draws = Draws(self._seed, "repeat", number)
            if not draws.chance(repeats):
                return number, False
            number = draws.below(number)

    def _brings_twins(self, number: int) -> bool:
        """Whether orders 2k and 2k + 1, of which this is one, bring twins."""
        return first_chance(self._twin_pairs, f"{self._seed}/twins/{number // 2}")

    def _name(self, draws: Draws, pool: NamePool, sex: Sex, second: int) -> PersonName:
        """A name within MAX_NAME; the second twin's differs in the given name, the next in the alphabet."""
        names = pool.given(sex)
        position = draws.below(len(names))
        pair = (names[position], names[(position + 1) % len(names)])
        suffix = draws.pick(_SUFFIXES) if draws.chance(self._population.suffixes) else ""
        prefix = "Dr." if draws.chance(0.03) else ""
        room = MAX_NAME - _CARETS - len(suffix) - len(prefix) - max(map(len, pair))
        if draws.chance(self._population.long_names):
            family, middle = _long_family(draws, pool.family(sex), room), ""
        else:
            family = _family(draws, pool, sex, room)
            middle = draws.pick(names) if draws.chance(0.25) else ""
        if len(family) + len(middle) > room:
            middle = ""
        return PersonName(family=family, given=pair[second], middle=middle, suffix=suffix, prefix=prefix)


def _share_of_twin_pairs(twins: float, repeats: float) -> float:
    """The share of pairs of orders that must bring twins, so that ``twins`` is the share of *patients* who have one.

    A pair that brings twins brings two patients, any other 2(1 - repeats) on average.
    """
    if twins == 1:
        return 1.0
    return twins * (1 - repeats) / (1 - twins * repeats)


def _family(draws: Draws, pool: NamePool, sex: Sex, room: int) -> str:
    """A family name, now and then double-barrelled or with an apostrophe."""
    family = draws.pick(pool.family(sex))
    form = draws.fraction()
    if form < 0.05:
        ornate = f"{family}-{draws.pick(pool.family(sex))}"
    elif form < 0.08 and pool.locale not in NOT_LATIN:
        ornate = f"{draws.pick(('O', 'D'))}'{family}"
    else:
        return family
    return ornate if len(ornate) <= room else family


def _long_family(draws: Draws, families: tuple[str, ...], room: int) -> str:
    """As many family names, joined by hyphens, as there is room for."""
    family = draws.pick(families)
    for _ in range(room):
        longer = f"{family}-{draws.pick(families)}"
        if len(longer) > room:
            break
        family = longer
    return family


class _Body(NamedTuple):
    weight_kg: float | None
    height_m: float | None


def _body(draws: Draws, age_years: float) -> _Body:
    """Weight and height that go together, for the seven in ten patients that were measured."""
    if not draws.chance(0.7):
        return _Body(None, None)
    grown = min(age_years / _ADULT_YEARS, 1.0)
    centimetres = 50 + round(grown * (draws.between(150, 195) - 50))
    mass_index = draws.between(14, 18) + grown * draws.between(4, 16)
    return _Body(weight_kg=round(mass_index * (centimetres / 100) ** 2, 1), height_m=centimetres / 100)
