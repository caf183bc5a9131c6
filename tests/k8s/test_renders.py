"""Every variant renders, and everything that is rendered or stands in a file is what Kubernetes takes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import kubernetes_validate
import pytest

from tests.k8s.manifests import (
    BASE,
    COMPONENTS,
    FILES,
    OVERLAYS,
    PROJECT,
    Object,
    containers,
    environment,
    find,
    named,
    of_kind,
    pod,
    pod_labels,
    read,
    references,
    render,
    selects,
    variants,
    workloads,
)

KUBERNETES = ("1.31", "1.37")  # oldest and newest that the manifests are for
CUSTOM = {  # kind: its version, and what its specification must have
    "ExternalSecret": ("external-secrets.io/v1", {"secretStoreRef", "target", "dataFrom"}),
    "PodMonitor": ("monitoring.coreos.com/v1", {"selector", "podMetricsEndpoints"}),
    "PrometheusRule": ("monitoring.coreos.com/v1", {"groups"}),
    "ScaledObject": ("keda.sh/v1alpha1", {"scaleTargetRef", "triggers", "minReplicaCount", "maxReplicaCount"}),
    "ServiceMonitor": ("monitoring.coreos.com/v1", {"selector", "endpoints"}),
    "TriggerAuthentication": ("keda.sh/v1alpha1", {"secretTargetRef"}),
}

each_variant = pytest.mark.parametrize("variant", list(variants()), ids="+".join)
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))


def check(item: Object, *versions: str) -> None:
    kind = item["kind"]
    if kind in CUSTOM:
        version, needed = CUSTOM[kind]
        assert item["apiVersion"] == version
        assert needed <= set(item["spec"])
        return
    for version in versions:
        kubernetes_validate.validate(item, version, strict=True)


@each_variant
def test_it_renders_to_valid_objects(variant: tuple[str, ...]) -> None:
    for item in render(variant):
        check(item, KUBERNETES[-1])


@each_file
def test_a_file_is_valid_by_itself(path: Path) -> None:
    for item in read(path):
        check(item, *KUBERNETES)
        if item["kind"] != "Namespace":
            assert item["metadata"]["namespace"] == "yeeter", named(item)


@each_variant
def test_names_are_unique_and_in_the_namespace(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    assert not [name for name, count in Counter(map(named, objects)).items() if count > 1]
    assert {item["metadata"].get("namespace") for item in objects if item["kind"] != "Namespace"} == {"yeeter"}


@each_variant
def test_what_is_referred_to_is_there(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    (secret,) = read(BASE / "secrets.yaml")
    there = {("Secret", "yeeter-secrets"): set(secret["stringData"])}  # whoever brings it
    there["Secret", "yeeter-rabbitmq-tls"] = {"tls.crt", "tls.key", "ca.crt"}  # of cert-manager
    there["Secret", "yeeter-object-store"] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}  # of whoever has the bucket
    for item in objects:
        there[item["kind"], item["metadata"]["name"]] = set(item.get("data", item.get("stringData", ())))
    for workload in workloads(objects):
        assert ("ServiceAccount", pod(workload)["serviceAccountName"]) in there
        for kind, name, keys in references(workload):
            assert keys <= there[kind, name], f"{named(workload)}: {keys} of {kind} {name}"
        if workload["kind"] == "StatefulSet":
            assert ("Service", workload["spec"]["serviceName"]) in there


@each_variant
def test_mounted_volumes_are_there(variant: tuple[str, ...]) -> None:
    for workload in workloads(render(variant)):
        volumes = {volume["name"] for volume in pod(workload)["volumes"]}
        volumes |= {template["metadata"]["name"] for template in workload["spec"].get("volumeClaimTemplates", ())}
        mounted = {mount["name"] for container in containers(workload) for mount in container["volumeMounts"]}
        assert mounted == volumes, named(workload)


@each_variant
def test_services_and_budgets_find_their_pods(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    for service in of_kind(objects, "Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        served = [item for item in workloads(objects) if selects(selector, pod_labels(item))]
        assert len(served) == 1, named(service)
        offered = {port["name"] for container in pod(served[0])["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= offered
    for budget in of_kind(objects, "PodDisruptionBudget"):
        kept = [item for item in workloads(objects) if selects(budget["spec"]["selector"], pod_labels(item))]
        assert [item["metadata"]["name"] for item in kept] == [budget["metadata"]["name"]]


@each_variant
def test_no_two_workloads_claim_the_same_pods(variant: tuple[str, ...]) -> None:
    objects = [item for item in workloads(render(variant)) if item["kind"] != "Job"]
    for workload in objects:
        claimed = [named(item) for item in objects if selects(workload["spec"]["selector"], pod_labels(item))]
        assert claimed == [named(workload)]


@each_variant
def test_monitors_find_their_services(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    for monitor in of_kind(objects, "ServiceMonitor"):
        services = of_kind(objects, "Service")
        found = [item for item in services if selects(monitor["spec"]["selector"], item["metadata"]["labels"])]
        if "keda" in variant and monitor["metadata"]["name"] == "yeeter-autoscaler":
            assert not found
            continue
        assert [item["metadata"]["name"] for item in found] == [monitor["metadata"]["name"]]
        ports = {port["name"] for port in found[0]["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


@each_variant
def test_the_workers_of_every_pool_are_monitored(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    for monitor in of_kind(objects, "PodMonitor"):
        found = [item for item in workloads(objects) if selects(monitor["spec"]["selector"], pod_labels(item))]
        assert [named(item) for item in found] == [
            named(item) for item in workloads(objects) if "worker" in named(item)
        ]
        for worker in found:
            ports = {port["name"] for container in pod(worker)["containers"] for port in container["ports"]}
            assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= ports


@pytest.mark.parametrize("variant", [variant for variant in variants() if "amqp-tls" in variant], ids="+".join)
def test_every_client_knows_whom_to_trust(variant: tuple[str, ...]) -> None:
    for workload in of_kind(render(variant), "Deployment"):
        clients = ("api", "worker", "autoscaler")
        if workload["metadata"]["labels"]["app.kubernetes.io/component"] in clients:
            (container,) = pod(workload)["containers"]
            assert {"name": "YEETER_TLS_CA_FILE", "value": "/etc/yeeter-tls/ca.crt"} in container["env"]
            assert "/etc/yeeter-tls" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_a_bucket_takes_the_place_of_the_shared_volume() -> None:
    objects = render(("k8s", "split-queues", "object-study-store"))
    assert not of_kind(objects, "PersistentVolumeClaim")
    users = [item for item in workloads(objects) if "worker" in named(item) or "api" in named(item)]
    assert len(users) == 3
    for workload in users:
        (volume,) = [volume for volume in pod(workload)["volumes"] if volume["name"] == "studies"]
        assert volume == {"name": "studies", "emptyDir": {"sizeLimit": "1Mi"}}
        given = environment(pod(workload)["containers"][0], objects)
        assert given["YEETER_STUDY_STORE"].startswith("s3://")
        assert {"AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(given)


def test_every_file_is_used() -> None:
    for folder in [BASE, *(BASE / "components" / name for name in COMPONENTS), *sorted(OVERLAYS.iterdir())]:
        (kustomization,) = read(folder / "kustomization.yaml")
        there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert there == {name for name in kustomization.get("resources", ()) if name.endswith(".yaml")}, folder


def test_production_brings_no_secret_and_no_database() -> None:
    objects = render(("k8s-overlays/production",))
    assert not of_kind(objects, "Secret")
    assert not [named(item) for item in objects if "postgres" in item["metadata"]["name"]]
    assert of_kind(objects, "ExternalSecret")


def test_keda_replaces_the_autoscaler() -> None:
    objects = render(("k8s", "keda"))
    scaled = find(objects, "ScaledObject", "yeeter-worker")
    assert not [named(item) for item in objects if "autoscaler" in item["metadata"]["name"]]
    assert scaled["spec"]["scaleTargetRef"]["name"] == "yeeter-worker"
    (trigger,) = scaled["spec"]["triggers"]
    config = find(objects, "ConfigMap", "yeeter-config")["data"]
    assert trigger["metadata"]["queueName"] == config["RABBITMQ_ORDER_QUEUE"]


def test_the_example_secret_says_what_it_is() -> None:
    text = (BASE / "secrets.yaml").read_text(encoding="utf-8")
    (secret,) = read(BASE / "secrets.yaml")
    assert text.startswith("# EXAMPLE ONLY") and secret["metadata"]["annotations"] == {"yeeter/example-only": "true"}
    values = secret["stringData"]
    assert f":{values['postgres-password']}@" in values["DATABASE_URL"]
    user, password = (line.split(" = ")[1] for line in values["rabbitmq-default-user.conf"].splitlines())
    assert f"//{user}:{password}@" in values["RABBITMQ_URL"]
