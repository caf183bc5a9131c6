"""Planning: any order can be planned at any time, and says what a department would."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import identity
from app.domain.order import MODALITIES, Modality, Order
from app.domain.procedures import BODY_PARTS, CATALOGUE, procedures_of
from app.domain.study_shapes import PRESETS, shape_of
from app.domain.template import LOCALES, Shape, Study
from tests.unit.sample_orders import BASE_TIME, RUN_KEY, SEED, orders, planner, template

PLANNER = planner()
numbers = st.integers(0, identity.MAX_ORDERS - 1)


@given(numbers)
def test_an_order_depends_on_nothing_but_its_number(number: int) -> None:
    assert PLANNER.order(number) == planner().order(number)


def test_a_seed_means_what_it_always_meant() -> None:
    """Runs are compared by their seeds, and what is published late is planned anew: change this value only on purpose.

    Say so then, and have no run of an earlier version go on under the new one.
    """
    populations = (
        {"locales": ("de", "ja"), "repeat_patients": 0.6, "twins": 0.2, "suffixes": 0.5, "long_names": 0.3},
        {"locales": LOCALES, "repeat_patients": 0, "twins": 0, "missing_birth_date": 0.5, "unknown_sex": 0.5},
        {"locales": LOCALES, "repeat_patients": 1, "twins": 1},
    )
    digest = hashlib.sha256()
    for seed, population in enumerate(populations):
        plan = planner(seed=seed, population=population, study={"preset": "realistic"})
        for number in (*range(200), *range(32**4 - 50, 32**4 + 50), identity.MAX_ORDERS - 1):
            order = plan.order(number)
            digest.update(json.dumps([order.patient_context, order.order_context]).encode())
    assert digest.hexdigest()[:16] == "8ed9a673ad0e98c0"


def test_orders_are_the_same_in_any_order() -> None:
    forwards = [PLANNER.order(number) for number in range(300)]
    backwards = [PLANNER.order(number) for number in reversed(range(300))]
    assert forwards == backwards[::-1]


def test_another_process_with_other_hashing_plans_the_same() -> None:
    program = (
        "import json, sys\n"
        "from tests.unit.sample_orders import orders\n"
        "json.dump([[o.patient_context, o.order_context] for o in orders(40)], sys.stdout)\n"
    )
    environment = {"PYTHONHASHSEED": "123", "PYTHONPATH": ":".join(filter(None, sys.path))}
    output = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout
    assert [Order.from_context(*contexts) for contexts in json.loads(output)] == orders(40)


@given(numbers)
def test_a_job_message_can_carry_the_order(number: int) -> None:
    order = PLANNER.order(number)
    contexts = json.loads(json.dumps([order.patient_context, order.order_context]))
    assert Order.from_context(*contexts) == order


@pytest.mark.parametrize("part", ["", "procedure", "study"])
def test_a_message_that_says_more_or_less_than_an_order_is_none(part: str) -> None:
    order = PLANNER.order(3)
    for change in (lambda values: values.update(unheard_of=1), dict.popitem):
        context = order.order_context
        change(context[part] if part else context)
        with pytest.raises((KeyError, TypeError, ValueError)):
            Order.from_context(order.patient_context, context)


@pytest.mark.parametrize("context", [None, 7, "x" * 30, ["x"] * 30, {}, {1: 2}])
def test_what_is_no_context_is_no_order(context: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Order.from_context(PLANNER.order(3).patient_context, context)  # type: ignore[arg-type]


def test_what_an_order_does_not_have_is_named() -> None:
    order = PLANNER.order(3)
    with pytest.raises(ValueError, match="more than an order has: patient"):
        Order.from_context(order.patient_context, order.order_context | {"patient": {}})


@given(numbers)
def test_a_job_message_carries_every_value_of_the_order(number: int) -> None:
    order = PLANNER.order(number)
    values = asdict(order)
    expected = [values.pop("patient"), values]
    assert json.dumps([order.patient_context, order.order_context]) == json.dumps(
        expected, default=lambda moment: moment.isoformat()
    )


def without_identity(order: Order) -> dict[str, object]:
    text = json.dumps([order.patient_context, order.order_context], ensure_ascii=False)
    return json.loads(re.sub(rf"{order.run_key}|{order.study_uid}", "", text))


def test_the_run_key_decides_identity_only() -> None:
    other = planner(run_key="00000000")
    for number in range(100):
        order, same = PLANNER.order(number), other.order(number)
        assert without_identity(order) == without_identity(same)
        for identifier in ("accession", "placer", "filler", "control_id", "study_uid", "visit_number", "procedure_id"):
            assert getattr(order, identifier) != getattr(same, identifier)


def test_the_seed_decides_content_only() -> None:
    other = planner(seed=SEED + 1)
    pairs = [(PLANNER.order(number), other.order(number)) for number in range(100)]
    assert all(order.accession == different.accession for order, different in pairs)
    assert sum(order.patient.name == different.patient.name for order, different in pairs) < 3


def test_the_base_time_moves_every_date_but_birth_dates_by_days() -> None:
    other = planner(base_time=BASE_TIME + timedelta(days=10))
    for number in range(50):
        order, later = PLANNER.order(number), other.order(number)
        assert later.ordered_at - order.ordered_at == timedelta(days=10)
        assert later.scheduled_at - order.scheduled_at == timedelta(days=10)
        if order.patient.birth_date is not None:
            assert later.patient.birth_date == order.patient.birth_date + timedelta(days=10)


def test_the_order_of_a_templates_modalities_does_not_matter() -> None:
    mix: dict[Modality, float] = {"CT": 1, "DX": 2, "MR": 3}
    backwards = dict(reversed(mix.items()))
    assert orders(50, modalities=mix) == orders(50, modalities=backwards)


@given(numbers)
def test_identifiers_are_those_of_the_number_and_fit(number: int) -> None:
    order = PLANNER.order(number)
    assert order.accession == identity.accession_number(RUN_KEY, number)
    assert order.study_uid == identity.study_uid(RUN_KEY, number)
    for identifier in ("accession", "placer", "filler", "control_id", "visit_number", "procedure_id", "step_id"):
        assert 1 <= len(getattr(order, identifier)) <= 16, identifier
    assert len(order.study_uid) <= 64


def test_identifiers_are_unique_in_a_run() -> None:
    planned = orders(2000)
    for identifier in ("accession", "placer", "filler", "control_id", "visit_number", "study_uid", "step_id"):
        assert len({getattr(order, identifier) for order in planned}) == len(planned)


def test_values_fit_the_shorter_of_hl7_and_dicom() -> None:
    for order in orders(500):
        for code in (order.procedure, order.protocol):
            assert 1 <= len(code.value) <= 16
            assert 1 <= len(code.meaning) <= 64
            assert 1 <= len(code.scheme) <= 16
        for text in (order.clinical_information, order.reason, order.organisation, order.study.description):
            assert 1 <= len(text) <= 64
            assert not re.search(r"[\\\x00-\x1f]", text)
        for provider in (order.referring, order.ordering):
            assert len(provider.id) + len(provider.name.family) + len(provider.name.given) <= 50
        assert all(1 <= len(series.description) <= 64 for series in order.study.series)
        assert re.fullmatch("[A-Z]{1,16}", order.study.body_part)


def test_delimiters_occur_in_free_text() -> None:
    planned = orders(300)
    for text in ("clinical_information", "reason"):
        seen = set("".join(getattr(order, text) for order in planned))
        assert "&" in seen
        assert "~" in seen
        assert "^" in seen
    assert any("|" in order.clinical_information for order in planned)
    assert any("&" in order.organisation for order in planned)


def test_times_go_forward_in_whole_seconds() -> None:
    planned = [planner(base_time=BASE_TIME.replace(microsecond=999)).order(number) for number in range(100)]
    assert planned[0].ordered_at == BASE_TIME
    for earlier, later in pairwise(planned):
        assert earlier.ordered_at < later.ordered_at
    for order in planned:
        assert order.scheduled_at > order.ordered_at
        assert order.scheduled_at.microsecond == order.ordered_at.microsecond == 0
        assert order.ordered_at.tzinfo is None


def test_a_base_time_with_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        planner(base_time=datetime(2026, 1, 5, tzinfo=UTC))


def test_a_number_that_no_accession_number_holds_is_refused() -> None:
    for number in (-1, identity.MAX_ORDERS):
        with pytest.raises(ValueError, match="outside"):
            PLANNER.order(number)


def test_modalities_come_by_weight() -> None:
    planned = orders(3000, modalities={"CT": 6, "MR": 3, "DX": 1})
    counts = Counter(order.study.modality for order in planned)
    assert set(counts) == {"CT", "MR", "DX"}
    assert counts["CT"] / 3000 == pytest.approx(0.6, abs=0.04)
    assert counts["DX"] / 3000 == pytest.approx(0.1, abs=0.03)


def test_every_procedure_is_ordered() -> None:
    assert {order.procedure for order in orders(2000)} == {procedure.code for procedure in CATALOGUE}


def test_only_the_body_parts_of_the_template_are_ordered() -> None:
    chest = orders(100, modalities={"CT": 1, "DX": 1}, study={"preset": "single", "body_parts": ["CHEST"]})
    assert {order.study.body_part for order in chest} == {"CHEST"}
    assert {order.study.modality for order in chest} == {"CT", "DX"}


def test_paired_parts_have_a_side_and_no_others() -> None:
    paired = {"HAND", "FOOT", "KNEE", "SHOULDER"}
    for order in orders(500):
        assert (order.study.laterality in ("R", "L")) == (order.study.body_part in paired)
        assert order.study.laterality in ("R", "L", "")


def test_the_catalogue_is_sound() -> None:
    assert len({procedure.code.value for procedure in CATALOGUE}) == len(CATALOGUE)
    assert set(BODY_PARTS) == {procedure.body_part for procedure in CATALOGUE}
    for modality in MODALITIES:
        assert procedures_of(modality)


# --- Shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("modality", MODALITIES)
def test_studies_have_the_shape_of_the_preset(preset: str, modality: Modality) -> None:
    shape = PRESETS[preset][modality]
    planned = orders(150, modalities={modality: 1}, study={"preset": preset})
    series = {len(order.study.series) for order in planned}
    instances = {series.instances for order in planned for series in order.study.series}
    assert (min(series), max(series)) == shape.series
    assert shape.instances[0] <= min(instances)
    assert max(instances) <= shape.instances[1]
    assert len(instances) == 1 or max(instances) - min(instances) > 0.8 * (shape.instances[1] - shape.instances[0])


def test_presets_cover_every_modality() -> None:
    assert set(PRESETS) == set(get_args(Study.model_fields["preset"].annotation))
    assert all(set(shapes) == set(MODALITIES) for shapes in PRESETS.values())


def test_a_templates_own_shape_replaces_the_presets() -> None:
    shape = Shape(series=(2, 2), instances=(10, 10))
    study = Study(preset="realistic", shapes={"CT": shape})
    assert shape_of(study, "CT") == shape
    assert shape_of(study, "MR") == PRESETS["realistic"]["MR"]
    planned = orders(5, modalities={"CT": 1}, study=study.model_dump())
    assert {order.study.instances for order in planned} == {20}


@pytest.mark.parametrize("pixels", ["full", "tiny"])
def test_pixels_are_what_the_template_says(pixels: str) -> None:
    assert {order.study.pixels for order in orders(5, study={"pixels": pixels})} == {pixels}


def test_a_template_whose_body_parts_leave_a_modality_without_procedures_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves CT no procedure"):
        template(modalities={"CT": 1}, study={"body_parts": ["HAND"]})
    with pytest.raises(ValueError, match="unknown body part 'TAIL'"):
        template(study={"body_parts": ["TAIL"]})
