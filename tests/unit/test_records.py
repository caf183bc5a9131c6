"""Records: dataclasses in everything but what keeps them from being changed."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace

import pytest

from app.domain.event import Event
from app.domain.records import record


@record(frozen=True, slots=True)
class Reading:
    name: str
    values: tuple[int, ...] = ()
    notes: dict[str, str] = field(default_factory=dict, compare=False)


def test_a_record_is_what_its_fields_are() -> None:
    reading = Reading("a", (1, 2))
    assert reading == Reading("a", values=(1, 2)) != Reading("b", (1, 2))
    assert replace(reading, name="b") == Reading("b", (1, 2))
    assert {reading: 1}[Reading("a", (1, 2))] == 1
    assert pickle.loads(pickle.dumps(reading)) == reading
    assert Reading("a").notes is not Reading("a").notes


def test_a_record_has_its_fields_and_no_others() -> None:
    with pytest.raises(AttributeError):
        Reading("a").other = 1  # type: ignore[attr-defined]


def test_records_of_every_order_are_made_without_a_call_for_each_field() -> None:
    """A dataclass that is frozen while it runs sets its fields by ``object.__setattr__``."""
    frozen = dataclass(frozen=True, slots=True)(type("Frozen", (), {"__annotations__": {"name": str}}))
    assert "__setattr__" in frozen.__init__.__code__.co_names
    assert "__setattr__" not in Event.__init__.__code__.co_names
