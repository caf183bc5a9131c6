"""What must hold of every pod, right and setting."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import pytest
import yaml
from typer.main import get_command

from app.cli.program import root
from app.domain.scaling import PoolPolicy
from app.domain.template import Step
from app.settings import Settings
from tests.k8s.manifests import (
    Object,
    containers,
    environment,
    find,
    named,
    of_kind,
    pod,
    references,
    render,
    variants,
    workloads,
)

each_variant = pytest.mark.parametrize("variant", list(variants()), ids="+".join)

SETTINGS = {f"YEETER_{name.upper()}" for name in Settings.model_fields}
USERS = {"rabbitmq": 999, "postgres": 999}  # the images' own; ours are 10001
VOLUME_KINDS = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}  # of those that are allowed
SCALE = {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]}
LEASE = {
    "apiGroups": ["coordination.k8s.io"],
    "resources": ["leases"],
    "resourceNames": ["yeeter-autoscaler"],
    "verbs": ["get", "update"],
}


@each_variant
def test_pods_are_restricted(variant: tuple[str, ...]) -> None:
    """The profile `restricted` of the Pod Security Standards, and more: a read-only root, a known user."""
    for workload in workloads(render(variant)):
        spec = pod(workload)
        component = workload["metadata"]["labels"]["app.kubernetes.io/component"]
        security = spec["securityContext"]
        user = USERS.get(component, 10001)
        assert security["runAsNonRoot"] is True
        assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (user, user, user)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(spec)
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= VOLUME_KINDS, named(workload)
        for container in containers(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not [port for port in container.get("ports", ()) if "hostPort" in port]


@each_variant
def test_the_namespace_enforces_it(variant: tuple[str, ...]) -> None:
    labels = find(render(variant), "Namespace", "yeeter")["metadata"]["labels"]
    modes = ("enforce", "audit", "warn")
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in modes} == {"restricted"}


@each_variant
def test_every_container_has_requests_and_limits(variant: tuple[str, ...]) -> None:
    for workload in workloads(render(variant)):
        for container in containers(workload):
            for kind in ("requests", "limits"):
                assert set(container["resources"][kind]) == {"cpu", "memory"}, named(workload)
        for volume in pod(workload)["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"], f"{named(workload)} can fill its node's disk"


@each_variant
def test_every_program_is_probed(variant: tuple[str, ...]) -> None:
    for workload in workloads(render(variant)):
        if workload["kind"] == "Job":
            continue
        for container in pod(workload)["containers"]:
            ports = {port["name"] for port in container["ports"]}
            for kind in ("readinessProbe", "livenessProbe"):
                probe = container[kind]
                action = probe.get("httpGet") or probe.get("tcpSocket")
                assert action is None or action["port"] in ports
                assert action is not None or probe["exec"]["command"]


@each_variant
def test_images_are_pinned(variant: tuple[str, ...]) -> None:
    for workload in workloads(render(variant)):
        for container in containers(workload):
            name, _, tag = container["image"].rpartition(":")
            assert name and re.fullmatch(r"\d+\.\d+(\.\d+)?(-management)?", tag), container["image"]
            assert container["imagePullPolicy"] == "IfNotPresent"


@each_variant
def test_only_scalers_know_kubernetes(variant: tuple[str, ...]) -> None:
    for account in of_kind(render(variant), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for workload in workloads(render(variant)):
        knows = workload["metadata"]["name"] in ("yeeter-api", "yeeter-autoscaler")
        assert pod(workload)["automountServiceAccountToken"] is knows
        assert pod(workload)["enableServiceLinks"] is False


@each_variant
def test_rights_are_exactly_these(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    split = any(item["metadata"]["name"] == "yeeter-worker-send" for item in of_kind(objects, "Deployment"))
    scale = SCALE | {"resourceNames": ["yeeter-worker", "yeeter-worker-send"] if split else ["yeeter-worker"]}
    expected: dict[str, list[Object]] = {"yeeter-api": [scale], "yeeter-autoscaler": [scale, LEASE]}
    if "keda" in variant:
        del expected["yeeter-autoscaler"]
    assert {item["metadata"]["name"]: item["rules"] for item in of_kind(objects, "Role")} == expected
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding")
    bound = {
        item["metadata"]["name"]: (item["roleRef"]["name"], [subject["name"] for subject in item["subjects"]])
        for item in of_kind(objects, "RoleBinding")
    }
    assert bound == {name: (name, [name]) for name in expected}


@each_variant
def test_the_lease_is_there_and_empty(variant: tuple[str, ...]) -> None:
    if "keda" not in variant:
        assert find(render(variant), "Lease", "yeeter-autoscaler")["spec"] == {}


@each_variant
def test_applying_again_does_not_reset_the_number_of_workers(variant: tuple[str, ...]) -> None:
    workers = [item for item in of_kind(render(variant), "Deployment") if "worker" in item["metadata"]["name"]]
    assert workers and not [named(item) for item in workers if "replicas" in item["spec"]]


@each_variant
def test_workers_may_finish_their_jobs(variant: tuple[str, ...]) -> None:
    """SIGTERM, then the grace of the settings, then what it takes to write; only then SIGKILL."""
    objects = render(variant)
    default_limit = Step.model_fields["timeout"].default
    for worker in of_kind(objects, "Deployment"):
        if "worker" in worker["metadata"]["name"]:
            grace = float(environment(pod(worker)["containers"][0], objects)["YEETER_WORKER_GRACE"])
            assert grace >= default_limit
            assert pod(worker)["terminationGracePeriodSeconds"] >= grace + 10


@each_variant
def test_settings_exist(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    for workload in workloads(objects):
        for container in containers(workload):
            given = environment(container, objects)
            unknown = {name for name in given if name.startswith("YEETER_")} - SETTINGS
            assert not unknown, f"{named(workload)}: {unknown}"


@each_variant
def test_settings_can_be_read(variant: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in find(render(variant), "ConfigMap", "yeeter-config")["data"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.allowed_destinations and settings.worker_health_port == 8080


@each_variant
def test_health_ports_are_the_settings(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    pairs = {"YEETER_WORKER_HEALTH_PORT": "worker", "YEETER_PORT": "api", "YEETER_AUTOSCALER_PORT": "autoscaler"}
    for workload in of_kind(objects, "Deployment"):
        container = pod(workload)["containers"][0]
        for setting, component in pairs.items():
            if workload["metadata"]["labels"]["app.kubernetes.io/component"] == component:
                assert [port["containerPort"] for port in container["ports"]] == [
                    int(environment(container, objects)[setting])
                ]


@each_variant
def test_an_api_that_others_reach_asks_for_tokens(variant: tuple[str, ...]) -> None:
    (api,) = pod(find(render(variant), "Deployment", "yeeter-api"))["containers"]
    given = {entry["name"]: entry.get("value") for entry in api["env"]}
    folder, _, name = given["YEETER_TOKENS_FILE"].rpartition("/")
    (mount,) = [mount for mount in api["volumeMounts"] if mount["mountPath"] == folder]
    assert given["YEETER_HOST"] == "0.0.0.0" and name == "tokens.yaml"
    assert "subPath" not in mount, "a changed Secret would not arrive"


@each_variant
def test_pools_are_those_of_the_workers(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    pools = [
        PoolPolicy.model_validate(pool)
        for pool in yaml.safe_load(find(objects, "ConfigMap", "yeeter-pools")["data"]["pools.yaml"])
    ]
    served = {}
    for worker in of_kind(objects, "Deployment"):
        if "worker" in worker["metadata"]["name"]:
            (flag, queues) = pod(worker)["containers"][0]["args"]
            assert flag == "--queues"
            served[worker["metadata"]["name"]] = queues.split(",")
    assert {pool.deployment: list(pool.queues) for pool in pools} == served


@each_variant
def test_commands_exist(variant: tuple[str, ...]) -> None:
    for workload in workloads(render(variant)):
        for container in containers(workload):
            words = [*container.get("command", ()), *container.get("args", ())]
            if words[:1] == ["yeeter"]:
                parse(words[1:])
            if words[:2] == ["python", "-m"]:
                assert find_spec(f"{words[2]}.__main__"), words


def parse(words: list[str]) -> None:
    command: Any = get_command(root)
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_parser(command.make_context("yeeter", [], resilient_parsing=True)).parse_args(list(words))


@each_variant
def test_pods_spread(variant: tuple[str, ...]) -> None:
    for workload in workloads(render(variant)):
        component = workload["metadata"]["labels"]["app.kubernetes.io/component"]
        if component in ("api", "worker", "autoscaler", "rabbitmq"):
            spread = pod(workload)["topologySpreadConstraints"]
            assert {each["topologyKey"] for each in spread} == {
                "kubernetes.io/hostname",
                "topology.kubernetes.io/zone",
            }
            for each in spread:
                for key, value in each["labelSelector"]["matchLabels"].items():
                    assert workload["spec"]["template"]["metadata"]["labels"][key] == value


@pytest.mark.parametrize("folder", ["k8s", "k8s-overlays/trial", "k8s-overlays/production"])
def test_rabbitmq_knows_its_memory(folder: str) -> None:
    """It is told 80 % of its limit, so that it blocks publishers before the kernel ends it."""
    objects = render((folder,))
    settings = find(objects, "ConfigMap", "yeeter-rabbitmq")["data"]["rabbitmq.conf"]
    told = int(re.search(r"^total_memory_available_override_value = (\d+)$", settings, re.M)[1])  # type: ignore[index]
    limit = pod(find(objects, "StatefulSet", "yeeter-rabbitmq"))["containers"][0]["resources"]["limits"]["memory"]
    assert told == int(limit.removesuffix("Gi")) * 2**30 * 8 // 10


def test_secrets_reach_only_those_that_need_them() -> None:
    """The value of a key goes to the pods that use it, not the whole Secret."""
    needed = {
        "yeeter-api": {"DATABASE_URL", "RABBITMQ_URL", "tokens.yaml"},
        "yeeter-autoscaler": {"DATABASE_URL", "RABBITMQ_URL"},
        "yeeter-migrate": {"DATABASE_URL"},
        "yeeter-postgres": {"postgres-password"},
        "yeeter-rabbitmq": {"rabbitmq-default-user.conf", "rabbitmq-erlang-cookie"},
        "yeeter-worker": {"DATABASE_URL", "RABBITMQ_URL"},
    }
    found: dict[str, set[str]] = {}
    for workload in workloads(render(("k8s",))):
        for kind, name, keys in references(workload):
            if kind == "Secret":
                assert name == "yeeter-secrets" and keys, "the whole Secret is mounted"
                found.setdefault(workload["metadata"]["name"], set()).update(keys)
    assert found == needed
