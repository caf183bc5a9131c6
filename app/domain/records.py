"""Records that are made for every order and every message, by the thousand a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

__all__ = ["record"]

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """``dataclasses.dataclass`` for records that nobody but the type checker keeps from being changed.

        A dataclass that is frozen while it runs sets each field by a call, and is made in four times the time.
        """
        return dataclass(slots=slots, unsafe_hash=frozen)
