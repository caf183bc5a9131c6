"""Whether there is tracing: what OpenTelemetry's standard variables say."""

from __future__ import annotations

import pytest

from app.adapters.tracing import is_asked_for

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    "variables",
    [
        COLLECTOR,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"},
        COLLECTOR | {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "false"},
    ],
)
def test_a_collector_that_is_named_gets_spans(variables: dict[str, str]) -> None:
    assert is_asked_for(variables)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_TRACES_EXPORTER": "otlp"},
        COLLECTOR | {"OTEL_SDK_DISABLED": "TRUE"},
        COLLECTOR | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_one_or_switched_off_there_is_none(variables: dict[str, str]) -> None:
    assert not is_asked_for(variables)
