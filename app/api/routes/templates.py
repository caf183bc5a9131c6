"""``/api/simulator/templates``: the templates and their steps."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from app.api.access import OPERATOR, VIEWER
from app.api.documents import template_document
from app.api.once import Once
from app.api.problems import responses
from app.api.services import Api, Services
from app.api.views import PageView, StepView, TemplateView, ValidationView, template_view, validation_view
from app.domain.errors import InvalidInput, NotFound, Problem
from app.domain.template import Step, Template, parse_template, step_queue
from app.domain.work import TemplateRow
from app.ports import UnitOfWork
from app.runs.templates import read_replacement, read_template

router = APIRouter(prefix="/api/simulator/templates", tags=["templates"])

Id = Annotated[str, Path(description="id or name of the template")]
Position = Annotated[int, Path(ge=0, description="counted from 0")]
Document = Annotated[Any, Depends(template_document)]
Replaced = Annotated[str | None, Query(description="id or name of the stored one whose place it is to take")]


def _body(schema: str) -> dict[str, Any]:
    """OpenAPI's request body of a route that takes a document."""
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"requestBody": {"required": True, "content": {"application/json": content, "application/yaml": content}}}


TEMPLATE_BODY, STEP_BODY = _body("Template"), _body("StepBody")


@router.get("", dependencies=[VIEWER], responses=responses())
def list_templates(api: Api) -> PageView[TemplateView]:
    """All templates, by name."""
    with api.bundle.database.transaction() as work:
        return PageView(items=[template_view(row) for row in work.templates.all()])


@router.post("", dependencies=[OPERATOR], status_code=201, responses=responses(409, 415), openapi_extra=TEMPLATE_BODY)
def create_template(api: Api, document: Document, response: Response, once: Once) -> TemplateView:
    """Add a template, version 1."""
    with once.claimed():
        template = read_template(document, api.bundle.types)
        with api.bundle.database.transaction() as work:
            row = work.templates.add(template)
            response.headers["Location"] = f"{router.prefix}/{row.id}"
            return once.keep(work, template_view(row))


@router.post("/validate", dependencies=[OPERATOR], responses=responses(404, 415), openapi_extra=TEMPLATE_BODY)
def validate_template(api: Api, document: Document, replaces: Replaced = None) -> ValidationView:
    """Check a template without storing it; what is wrong with it comes as a problem document.

    What replaces a stored one may hold its secrets as they were shown: hidden.
    """
    stored = {} if replaces is None else _get(api, replaces).document
    template = read_replacement(document, stored, api.bundle.types)
    return validation_view(template, api.bundle.settings.rabbitmq_order_queue)


@router.get("/{id}", dependencies=[VIEWER], responses=responses(404))
def get_template(api: Api, id: Id) -> TemplateView:
    return template_view(_get(api, id))


@router.put("/{id}", dependencies=[OPERATOR], responses=responses(404, 409, 415), openapi_extra=TEMPLATE_BODY)
def replace_template(api: Api, id: Id, document: Document) -> TemplateView:
    """Write the template's next version. Runs keep the version that they were started with."""
    stored = _get(api, id)
    template = read_replacement(document, stored.document, api.bundle.types)
    with api.bundle.database.transaction() as work:
        return template_view(work.templates.replace(stored.id, template))


@router.delete("/{id}", dependencies=[OPERATOR], status_code=204, responses=responses(404))
def delete_template(api: Api, id: Id) -> None:
    """Remove the template; its runs stay. A shipped one comes back when the server starts again."""
    with api.bundle.database.transaction() as work:
        work.templates.remove(id)


# --- steps ------------------------------------------------------------------------------------------------------------


@router.get("/{id}/steps", dependencies=[VIEWER], responses=responses(404))
def list_steps(api: Api, id: Id) -> PageView[StepView]:
    """The template's steps in order, with their queue metadata and the queue that each comes to."""
    return PageView(items=_step_views(api, _get(api, id)))


@router.post(
    "/{id}/steps", dependencies=[OPERATOR], status_code=201, responses=responses(404, 415), openapi_extra=STEP_BODY
)
def add_step(api: Api, id: Id, document: Document, response: Response, once: Once) -> StepView:
    """Add a step at the end, or at the body's ``position``; writes the template's next version."""
    with once.claimed():
        step, given = _step_document(document)
        with api.bundle.database.transaction() as work:
            row = work.templates.get(id, lock=True)
            steps = row.document["steps"]
            position = len(steps) if given is None else given
            if position > len(steps):
                raise InvalidInput(Problem("position", f"the template has {len(steps)} steps", f"0 to {len(steps)}"))
            row = _with_steps(api, work, row, [*steps[:position], step, *steps[position:]], position)
            response.headers["Location"] = f"{router.prefix}/{row.id}/steps/{position}"
            return once.keep(work, _step_views(api, row)[position])


@router.get("/{id}/steps/{position}", dependencies=[VIEWER], responses=responses(404))
def get_step(api: Api, id: Id, position: Position) -> StepView:
    row = _get(api, id)
    _check_position(row, position)
    return _step_views(api, row)[position]


@router.put("/{id}/steps/{position}", dependencies=[OPERATOR], responses=responses(404, 415), openapi_extra=STEP_BODY)
def replace_step(api: Api, id: Id, position: Position, document: Document) -> StepView:
    """Replace a step; writes the template's next version."""
    step, given = _step_document(document)
    if given not in (None, position):
        raise InvalidInput(Problem("position", f"{given} is not the position in the path", "leave it out"))
    with api.bundle.database.transaction() as work:
        row = work.templates.get(id, lock=True)
        _check_position(row, position)
        steps = row.document["steps"]
        row = _with_steps(api, work, row, [*steps[:position], step, *steps[position + 1 :]], position)
    return _step_views(api, row)[position]


@router.delete("/{id}/steps/{position}", dependencies=[OPERATOR], status_code=204, responses=responses(404))
def delete_step(api: Api, id: Id, position: Position) -> None:
    """Remove a step; writes the template's next version."""
    with api.bundle.database.transaction() as work:
        row = work.templates.get(id, lock=True)
        _check_position(row, position)
        steps = row.document["steps"]
        _with_steps(api, work, row, [*steps[:position], *steps[position + 1 :]])


def _get(api: Services, id: str) -> TemplateRow:
    """Raises NotFound."""
    with api.bundle.database.transaction() as work:
        return work.templates.get(id)


def _step_document(document: Any) -> tuple[dict[str, Any], int | None]:
    """The body without its position, and the position."""
    if not isinstance(document, dict):
        raise InvalidInput(Problem("", "a step is a mapping", "begin with type:"))
    step = {key: value for key, value in document.items() if key != "position"}
    position = document.get("position")
    if position is not None and (type(position) is not int or position < 0):
        raise InvalidInput(Problem("position", f"{position!r} is not a position", "count from 0"))
    return step, position


def _with_steps(
    api: Services, work: UnitOfWork, row: TemplateRow, steps: list[Any], position: int | None = None
) -> TemplateRow:
    """Write the template with these steps; problems of the one at ``position`` are named as fields of the body."""
    try:
        template = parse_template(row.document | {"steps": steps}, api.bundle.types)
    except InvalidInput as error:
        own = f"steps.{position}."
        raise InvalidInput(
            *(Problem(problem.field.removeprefix(own), problem.problem, problem.cure) for problem in error.problems)
        ) from error
    return work.templates.replace(row.id, template)


def _check_position(row: TemplateRow, position: int) -> None:
    count = len(row.document["steps"])
    if position >= count:
        raise NotFound(f"template {row.name!r} has no step {position}; it has {count}, counted from 0")


def _step_views(api: Services, row: TemplateRow) -> list[StepView]:
    template = parse_template(row.document, api.bundle.types)
    return [_step_view(api, template, index, step) for index, step in enumerate(template.steps)]


def _step_view(api: Services, template: Template, index: int, step: Step) -> StepView:
    runs_on = step_queue(template, index, api.bundle.settings.rabbitmq_order_queue) or "producer"
    return StepView(position=index, runs_on=runs_on, **step.model_dump(mode="json"))
