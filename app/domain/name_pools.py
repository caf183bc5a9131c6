"""Pools of synthetic names and addresses, one a locale, made once by mimesis.

A pool is the same in every run; the run's seed picks from it. Making one takes some ten milliseconds, picking from it a
microsecond, so mimesis is never called for a single patient.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from app.domain.order import Sex

MAX_PART = 19  # characters of a family or given name: both, prefix, suffix and carets fit the 48 of PID-5
MAX_STREET = 50
MAX_CITY = 25
NOT_LATIN = frozenset(("el", "ja", "ko", "ru"))

_DRAWS = 600
_COUNTRIES = {
    "cs": "CZE",
    "da": "DNK",
    "de": "DEU",
    "el": "GRC",
    "en": "USA",
    "es": "ESP",
    "fi": "FIN",
    "fr": "FRA",
    "hu": "HUN",
    "it": "ITA",
    "ja": "JPN",
    "ko": "KOR",
    "nl": "NLD",
    "pl": "POL",
    "pt": "PRT",
    "ru": "RUS",
    "sv": "SWE",
    "tr": "TUR",
}


@dataclass(frozen=True, slots=True)
class NamePool:
    """Everything is sorted, so neighbours are similar: Anna, Anne."""

    locale: str
    country: str  # ISO 3166 three letters
    male_given: tuple[str, ...]
    female_given: tuple[str, ...]
    male_family: tuple[str, ...]
    female_family: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[str, ...]
    postal_codes: tuple[str, ...]

    def given(self, sex: Sex) -> tuple[str, ...]:
        return self.male_given if sex == "M" else self.female_given

    def family(self, sex: Sex) -> tuple[str, ...]:
        return self.male_family if sex == "M" else self.female_family


@cache
def name_pool(locale: str) -> NamePool:
    """The pool of a locale of ``app.domain.template.LOCALES``."""
    from mimesis import Address, Person  # late: it is slow to import, and only those who plan orders need it
    from mimesis.enums import Gender
    from mimesis.locales import Locale

    person = Person(Locale(locale), seed=f"person/{locale}")
    address = Address(Locale(locale), seed=f"address/{locale}")
    return NamePool(
        locale=locale,
        country=_COUNTRIES[locale],
        male_given=_distinct(lambda: person.first_name(Gender.MALE), MAX_PART),
        female_given=_distinct(lambda: person.first_name(Gender.FEMALE), MAX_PART),
        male_family=_distinct(lambda: person.last_name(Gender.MALE), MAX_PART),
        female_family=_distinct(lambda: person.last_name(Gender.FEMALE), MAX_PART),
        streets=_distinct(address.address, MAX_STREET),
        cities=_distinct(address.city, MAX_CITY),
        postal_codes=_distinct(address.postal_code, 10),
    )


def _distinct(make: Callable[[], str], longest: int) -> tuple[str, ...]:
    """Sorted distinct values in composed form (NFC), no longer than ``longest`` characters."""
    values = {unicodedata.normalize("NFC", make()).strip() for _ in range(_DRAWS)}
    return tuple(sorted(value for value in values if 0 < len(value) <= longest))
