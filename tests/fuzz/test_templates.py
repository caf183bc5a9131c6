"""Templates: any document is a template that orders can be made from, or is refused with a field and a reason."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidInput
from app.domain.planning import OrderPlanner
from app.domain.template import Template, parse_template
from app.hl7.orm import OrmRenderer
from app.hl7.validation import check_message
from tests.fuzz.mutations import JSON, altered
from tests.fuzz.profile import examples
from tests.unit.test_shipped_templates import FILES, TYPES

SHIPPED = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
RICH: dict[str, Any] = {
    **SHIPPED["mixed-department"],
    "population": {"locales": ["de", "ja"], "repeat_patients": 0.5, "twins": 0.1},
    "destinations": {
        "hl7": {"host": "ris", "port": 2575, "ack_timeout": 5.0},
        "dicom": {"host": "pacs", "port": 104, "aet": "PACS", "rate": 20.0},
    },
    "thresholds": ["hl7_ack.p95 < 200ms", "orders.failed == 0"],
    "steps": [
        {"type": "GENERATE_HL7", "queue_async": True},
        {"type": "GENERATE_DICOM", "queue": "generate_dicom", "retry": {"max_attempts": 5, "first_delay": 2}},
        {"type": "SEND_DICOM", "queue": "send_dicom", "timeout": 60, "queue_metadata": {"site": "north"}},
    ],
}
FIELDS = set(Template.model_fields)
BASE_TIME = datetime(2026, 1, 5, 8)  # noqa: DTZ001 - local time of the simulated department


def judged(document: Any) -> Template | None:
    """None when it is refused as it should be: each problem of a mapping names a field, or two that don't agree."""
    try:
        return parse_template(document, TYPES)
    except InvalidInput as error:
        assert error.problems
        assert all(problem.problem for problem in error.problems)
        if isinstance(document, dict):
            assert all(problem.field or FIELDS & set(re.split(r"\W", problem.problem)) for problem in error.problems)
        return None


def test_the_rich_one_is_valid() -> None:
    assert judged(RICH) is not None


@examples(200)
@given(JSON)
def test_any_document_is_refused_with_reasons(document: Any) -> None:
    assert judged(document) is None


@pytest.mark.parametrize("name", [*SHIPPED, "rich"])
@examples(40)
@given(st.data())
def test_what_is_accepted_says_the_same_again_and_makes_orders(name: str, data: st.DataObject) -> None:
    document = data.draw(altered(RICH if name == "rich" else SHIPPED[name]))
    template = judged(document)
    if template is None:
        return
    kept = json.loads(json.dumps(template.model_dump(mode="json", exclude_none=True)))
    assert parse_template(kept, TYPES) == template
    planner = OrderPlanner(template, 1, "00000000", BASE_TIME)
    renderer = OrmRenderer(template.hl7)
    for number in range(3):
        assert check_message(renderer.render(planner.order(number))) == []
