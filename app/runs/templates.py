"""Reading a template from a user: the document's own rules, and a site's own ORM text tried out on one order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.domain.errors import InvalidInput, Problem
from app.domain.planning import OrderPlanner
from app.domain.template import StepTypes, Template, parse_template
from app.domain.webhook import with_secrets
from app.hl7.orm import OrmRenderer

_SAMPLE_TIME = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - local time of the simulated department
_OPTIONAL = ("PV1", "ZDS")  # an own text may leave these out


def read_template(document: Any, types: StepTypes) -> Template:
    """A template that can be run.

    Raises:
        InvalidInput: every problem found, each with its field path and cure.
    """
    template = parse_template(document, types)
    renderer = OrmRenderer(template.hl7)
    if template.hl7.message is not None:
        _try_out(template, renderer)
    return template


def read_replacement(document: Any, stored: dict[str, Any], types: StepTypes) -> Template:
    """As ``read_template``, of what takes a stored document's place; what was hidden when that was shown stays."""
    return read_template(with_secrets(document, stored), types)


def _try_out(template: Template, renderer: OrmRenderer) -> None:
    # The HL7 library takes most of a second to import, and only own texts need it.
    from app.hl7.validation import check_message

    order = OrderPlanner(template, seed=0, run_key="00000000", base_time=_SAMPLE_TIME).order(0)
    problems = [
        Problem("hl7.message", f"{problem.field}: {problem.problem}", problem.cure)
        for problem in check_message(renderer.render(order))
        if not (problem.field in _OPTIONAL and problem.problem.startswith("there are 0"))
    ]
    if problems:
        raise InvalidInput(*problems)
