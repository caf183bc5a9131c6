"""Identity: who an order is, derived from the run's key and the order's number.

The *seed* decides content, the *run key* decides identity: a second run of a seed never collides with the first.

    run_key          8 characters of Crockford base32          7K3QX0AB
    accession        run_key + order number (5 characters)      7K3QX0AB0002S      (0008,0050) SH, at most 16
    placer, filler   accession + P or F                         7K3QX0AB0002SP     ORC-2, ORC-3
    control ID       accession + 2 digits of message            7K3QX0AB0002S01    MSH-10, at most 20
    UID              2.25. + a UUID as a decimal integer        PS3.5 B.2, at most 44 characters

The alphabet sorts as the numbers do: a range of orders is a range of accession numbers, a prefix is a block of 32.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import lru_cache

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RUN_KEY_LENGTH = 8
NUMBER_LENGTH = 5
MAX_ORDERS = 32**NUMBER_LENGTH

_RUN_KEY = re.compile(f"[{ALPHABET}]{{{RUN_KEY_LENGTH}}}")
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)  # two characters for ten bits
_VERSION_8 = 0x8 << 76 | 0x2 << 62  # version and variant of a UUID, where they stand in its 128 bits
_HASHED = ~(0xF << 76 | 0x3 << 62)  # all other bits
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def new_run_key() -> str:
    """A run key that no other run has: 40 random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(RUN_KEY_LENGTH))


def is_run_key(text: str) -> bool:
    return _RUN_KEY.fullmatch(text) is not None


def encode_number(number: int) -> str:
    """Order number (0 ≤ number < 32⁵) as 5 base32 characters.

    Raises:
        ValueError: the number does not fit.
    """
    if not 0 <= number < MAX_ORDERS:
        raise ValueError(f"order number {number} is outside 0..{MAX_ORDERS - 1}")
    return ALPHABET[number >> 20] + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]


def decode_number(text: str) -> int:
    """The order number that 5 base32 characters stand for.

    Raises:
        ValueError: not 5 characters of the alphabet.
    """
    if len(text) != NUMBER_LENGTH or any(character not in _VALUES for character in text):
        raise ValueError(f"{text!r} is not an order number")
    number = 0
    for character in text:
        number = number * 32 + _VALUES[character]
    return number


@lru_cache(maxsize=1024)  # an order's other identifiers are made from it
def accession_number(run_key: str, number: int) -> str:
    return run_key + encode_number(number)


def order_number_of(run_key: str, accession: str) -> int | None:
    """Which order of the run an accession number names, or None when it names none."""
    if not accession.startswith(run_key):
        return None
    try:
        return decode_number(accession[len(run_key) :])
    except ValueError:
        return None


def placer_order_number(run_key: str, number: int) -> str:
    return accession_number(run_key, number) + "P"


def filler_order_number(run_key: str, number: int) -> str:
    return accession_number(run_key, number) + "F"


def message_control_id(run_key: str, number: int, message: int = 1) -> str:
    return f"{accession_number(run_key, number)}{message:02d}"


def uid(run_key: str, *position: int | str) -> str:
    """A UID that depends on nothing but the run key and the position (order, series, instance, role).

    Form: ``2.25.`` and the decimal value of a UUID (ISO/IEC 9834-8; PS3.5 section B.2). The UUID is the first 128 bits
    of SHA-256 with the version (8, custom) and variant bits set as RFC 9562 asks.
    """
    return _uid("/".join((run_key, *map(str, position))))


def study_uid(run_key: str, number: int) -> str:
    return _uid(f"{run_key}/{number}")


def series_uid(run_key: str, number: int, series: int) -> str:
    return _uid(f"{run_key}/{number}/{series}")


def instance_uid(run_key: str, number: int, series: int, instance: int) -> str:
    return _uid(f"{run_key}/{number}/{series}/{instance}")


def _uid(name: str) -> str:
    value = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
    return f"2.25.{value & _HASHED | _VERSION_8}"
