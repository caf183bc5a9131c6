"""Templates and their steps as rows."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from app.adapters.database import SqlDatabase
from app.domain.errors import Conflict, NotFound
from app.domain.template import Template


def template(name: str, **values: Any) -> Template:
    steps = [
        {"type": "GENERATE_HL7", "queue_async": True},
        {"type": "GENERATE_DICOM", "name": "make", "queue": "ct", "queue_metadata": {"gpu": True, "weight": 0.5}},
        {"type": "SEND_DICOM", "parameters": {"note": "für Änne", "nested": {"list": [1, 2.5, None]}}, "timeout": 12.5},
    ]
    return Template.model_validate({"name": name, "modalities": {"CT": 3, "MR": 1.5}, "steps": steps} | values)


@pytest.fixture
def name() -> str:
    return f"template-{uuid.uuid4().hex[:12]}"


def test_a_template_comes_back_as_it_was_added(database: SqlDatabase, name: str) -> None:
    wanted = template(name, description="a 'quoted' 100 % \\ text", thresholds=["orders.failed == 0"])
    with database.transaction() as work:
        added = work.templates.add(wanted)
    with database.transaction() as work:
        assert work.templates.get(added.id) == work.templates.get(name) == added
    assert (added.name, added.version, added.shipped) == (name, 1, False)
    assert Template.model_validate(added.document) == wanted
    assert added.created_at.tzinfo is not None and added.created_at == added.updated_at


def test_a_name_is_given_once(database: SqlDatabase, name: str) -> None:
    other = f"{name}.other"
    with database.transaction() as work:
        work.templates.add(template(name))
        with pytest.raises(Conflict, match=name):
            work.templates.add(template(name))
        work.templates.add(template(other))  # the transaction goes on
        with pytest.raises(Conflict, match=name):
            work.templates.replace(other, template(name))
    with database.transaction() as work:
        assert work.templates.get(other).version == 1
        assert len(work.templates.get(other).document["steps"]) == 3


def test_replacing_writes_the_next_version_and_its_steps(database: SqlDatabase, name: str) -> None:
    shorter = template(name, steps=[{"type": "GENERATE_HL7"}])
    with database.transaction() as work:
        first = work.templates.add(template(name), shipped=True)
        second = work.templates.replace(name, shorter)
        third = work.templates.replace(first.id, template(f"{name}.renamed"), shipped=True)
    assert [first.version, second.version, third.version] == [1, 2, 3]
    assert [first.shipped, second.shipped, third.shipped] == [True, False, True]
    assert first.id == third.id
    assert Template.model_validate(second.document) == shorter
    assert Template.model_validate(third.document) == template(f"{name}.renamed")
    assert third.created_at == first.created_at <= third.updated_at


def test_all_are_listed_by_name_until_they_are_removed(database: SqlDatabase, name: str) -> None:
    names = [f"{name}.{letter}" for letter in "cab"]
    with database.transaction() as work:
        for each in names:
            work.templates.add(template(each))
        work.templates.remove(f"{name}.b")
        listed = [row.name for row in work.templates.all() if row.name.startswith(name)]
    assert listed == [f"{name}.a", f"{name}.c"]


@pytest.mark.parametrize("unknown", ["nobody", str(uuid.UUID(int=7)), "", "nul\x00", "\ud800"])
def test_a_template_that_is_not_there(database: SqlDatabase, unknown: str) -> None:
    with database.transaction() as work:
        with pytest.raises(NotFound):
            work.templates.get(unknown)
        with pytest.raises(NotFound):
            work.templates.remove(unknown)
        with pytest.raises(NotFound):
            work.templates.replace(unknown, template("whatever"))
