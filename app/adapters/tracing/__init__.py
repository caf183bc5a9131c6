"""Tracing over OpenTelemetry: an extra, which is not even looked for unless the environment names a collector."""

from __future__ import annotations

import os
from collections.abc import Mapping

import structlog

from app.ports import Tracing

log = structlog.get_logger()

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def open_tracing(exchange: str) -> Tracing | None:
    """What OpenTelemetry's standard variables ask for; None where they ask for nothing, or the extra is missing."""
    if not is_asked_for(os.environ):
        return None
    try:
        from app.adapters.tracing.otlp import tracing_over_otlp
    except ImportError as error:
        log.warning("no tracing", reason=f"{error}; install hl7-yeeter[tracing]")
        return None
    return tracing_over_otlp(exchange)


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether there is a collector, and nobody has switched tracing off."""
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    return not disabled and exporter == "otlp" and any(environment.get(name, "").strip() for name in _ENDPOINTS)
