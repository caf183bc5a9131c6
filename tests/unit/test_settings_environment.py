"""A child's environment gives it its parent's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings, load_settings


def child_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    environment = settings.as_environment()
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        for name in ("RABBITMQ_URL", "DATABASE_URL", "YEETER_DATABASE_URL"):
            if name not in environment:
                patch.delenv(name, raising=False)
        return load_settings()


def test_flags_reach_the_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YEETER_WORKER_CONCURRENCY", "3")
    monkeypatch.setenv("YEETER_LOG_LEVEL", "debug")
    settings = load_settings(
        home=tmp_path,
        log_level="warning",
        allowed_destinations=["pacs:104", "::1"],
        lease_seconds=2.5,
        rabbitmq_url="amqp://user:se%20cret@host/%2F",
    )
    assert child_of(settings, monkeypatch) == settings


def test_a_flag_that_says_nothing_hides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://host")
    monkeypatch.setenv("YEETER_DATABASE_URL", "postgresql://host/yeeter")
    settings = load_settings(rabbitmq_url=None, database_url=None)
    child = child_of(settings, monkeypatch)
    assert (child.rabbitmq_url, child.database_url) == (None, None)


def test_the_rest_of_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    environment = load_settings().as_environment()
    assert environment["LC_ALL"] == "C.UTF-8"
    assert "YEETER_PORT" not in environment
