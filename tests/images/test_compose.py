"""compose.yaml: what it starts, what it opens, and that the settings it makes are ones that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.api.gate import LOOPBACK_NAMES
from app.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "compose.yaml").read_text()
EXAMPLE = (PROJECT / ".env.example").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = ("migrate", "api", "worker", "receiver")


def substituted(value: str) -> str:
    """With the defaults of variables, and a password where there is none."""
    return re.sub(r"\$\{\w+(:-|:\?)(.*?)\}", lambda match: match[2] if match[1] == ":-" else "secret", value)


def environment(service: str) -> dict[str, str]:
    return {name: substituted(str(value)) for name, value in SERVICES[service].get("environment", {}).items()}


def test_what_it_starts() -> None:
    assert set(SERVICES) == {"rabbitmq", "postgres", "orthanc", *OURS}
    assert "container_name" not in SERVICES["worker"] and "ports" not in SERVICES["worker"]  # so it can be scaled


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_reached_from_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert isinstance(port, str) and port.rpartition(":")[0].partition(":")[0] in LOOPBACK_NAMES


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_of_a_version(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.match(r"\d+(\.\d+)*(-management)?$", tag)


@pytest.mark.parametrize("name", OURS)
def test_ours_are_locked_down_and_come_back(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")


@pytest.mark.parametrize("name", OURS)
def test_its_settings_are_ones_that_there_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {f"YEETER_{field.upper()}" for field in Settings.model_fields} | {"DATABASE_URL", "RABBITMQ_URL"}
    given = environment(name)
    assert set(given) <= known
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    assert Settings().model_fields_set == {variable.removeprefix("YEETER_").lower() for variable in given}


def test_runs_may_send_to_its_own_destinations() -> None:
    for name in ("api", "worker"):  # workers hold the list against each connection, too
        allowed = json.loads(environment(name)["YEETER_ALLOWED_DESTINATIONS"])
        assert {entry.partition(":")[0] for entry in allowed} == {"orthanc", "receiver"}


def test_services_wait_for_what_they_need() -> None:
    for name in ("api", "worker"):
        conditions = {other: need["condition"] for other, need in SERVICES[name]["depends_on"].items()}
        assert conditions == {"migrate": "service_completed_successfully", "rabbitmq": "service_healthy"}
    for name in ("rabbitmq", "postgres", "orthanc"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_a_stop_leaves_workers_and_producers_their_time() -> None:
    for name in ("api", "worker"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > Settings().worker_grace


def test_the_example_names_every_variable() -> None:
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE, re.M))
    assert used == named
    assert {line for line in EXAMPLE.splitlines() if line and not line.startswith("#")} == {  # no password of ours
        f"{name}=" for name in re.findall(r"\$\{(\w+):\?", TEXT)
    }


def test_every_volume_is_declared_and_used() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(yaml.safe_load(TEXT)["volumes"])
