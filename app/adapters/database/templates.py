"""Templates and their steps as rows."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.adapters.database.clock import database_now, read_now
from app.adapters.database.rowset import clean_text
from app.adapters.database.tables import template_steps, templates
from app.domain.errors import Conflict, NotFound
from app.domain.template import Template
from app.domain.work import TemplateRow

_STEP_COLUMNS = ("type", "name", "mode", "queue_async", "queue", "job_type", "queue_metadata", "parameters", "retry")


class SqlTemplates:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, template: Template, *, shipped: bool = False) -> TemplateRow:
        id_ = str(uuid.uuid4())
        document, steps = _split(template)
        now = read_now(self._connection)  # the defaults of the two columns would each read the clock
        values = {"id": id_, "name": template.name, "version": 1, "shipped": shipped, "document": document}
        values |= {"created_at": now, "updated_at": now}
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert(templates), values)
        except IntegrityError as error:
            raise Conflict(f"a template named {template.name!r} exists; choose another name, or replace it") from error
        self._write_steps(id_, steps)
        return self.get(id_)

    def replace(self, id_or_name: str, template: Template, *, shipped: bool = False) -> TemplateRow:
        row = self.get(id_or_name)
        document, steps = _split(template)
        values = {"name": template.name, "document": document, "shipped": shipped, "updated_at": database_now()}
        try:
            with self._connection.begin_nested():
                self._connection.execute(
                    update(templates).where(templates.c.id == row.id).values(version=templates.c.version + 1, **values)
                )
        except IntegrityError as error:
            raise Conflict(f"a template named {template.name!r} exists; choose another name") from error
        self._connection.execute(delete(template_steps).where(template_steps.c.template_id == row.id))
        self._write_steps(row.id, steps)
        return self.get(row.id)

    def remove(self, id_or_name: str) -> None:
        self._connection.execute(delete(templates).where(templates.c.id == self.get(id_or_name).id))

    def get(self, id_or_name: str, *, lock: bool = False) -> TemplateRow:
        statement = select(templates).where(_named(id_or_name))
        found = self._connection.execute(statement.with_for_update() if lock else statement).one_or_none()
        if found is None:
            raise NotFound(f"no template {id_or_name!r}; `yeeter templates list` shows them")
        return self._row(found)

    def all(self) -> list[TemplateRow]:
        return [self._row(row) for row in self._connection.execute(select(templates).order_by(templates.c.name))]

    def _row(self, row: Row[Any]) -> TemplateRow:
        steps = self._connection.execute(
            select(template_steps).where(template_steps.c.template_id == row.id).order_by(template_steps.c.position)
        )
        document = {"name": row.name, **row.document, "steps": [_step_document(step) for step in steps]}
        return TemplateRow(row.id, row.name, row.version, row.shipped, document, row.created_at, row.updated_at)

    def _write_steps(self, template_id: str, steps: list[dict[str, Any]]) -> None:
        rows = [{"template_id": template_id, "position": position, **step} for position, step in enumerate(steps)]
        self._connection.execute(insert(template_steps), rows)


def _named(id_or_name: str) -> Any:
    try:
        return templates.c.id == str(uuid.UUID(id_or_name))
    except ValueError:
        return templates.c.name == clean_text(id_or_name)


def _split(template: Template) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    document = template.model_dump(mode="json", exclude_none=True)
    document.pop("name")
    document.pop("steps")
    return document, [step.model_dump(mode="json") for step in template.steps]


def _step_document(row: Row[Any]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _STEP_COLUMNS}
    return {name: value for name, value in values.items() if value is not None} | {"timeout": row.timeout}
