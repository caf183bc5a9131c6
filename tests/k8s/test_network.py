"""Who may speak to whom: the flows that are needed, and none beside them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import NamedTuple

import pytest

from tests.k8s.manifests import Object, find, of_kind, pod_labels, render, selects, workloads

OURS = {"kubernetes.io/metadata.name": "yeeter"}


class End(NamedTuple):
    """One end of a connection: a pod of ours, a pod elsewhere, or an address."""

    labels: dict[str, str]
    namespace: dict[str, str] | None = None
    address: str | None = None

    @property
    def ours(self) -> bool:
        return self.namespace == OURS


def pod_of(variant: tuple[str, ...], name: str) -> End:
    (workload,) = [item for item in workloads(render(variant)) if item["metadata"]["name"] == name]
    return End(pod_labels(workload), OURS)


def elsewhere(namespace: str, **labels: str) -> End:
    return End(labels, {"kubernetes.io/metadata.name": namespace})


def address(text: str) -> End:
    return End({}, None, text)


def client() -> End:
    return End({"yeeter/api-client": "true"}, OURS)


def matches(peer: Object, end: End) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        if end.address is None:
            return False
        where = ip_address(end.address)
        return where in ip_network(block["cidr"]) and not any(
            where in ip_network(out) for out in block.get("except", ())
        )
    if end.namespace is None:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], end.namespace):
            return False
    elif not end.ours:
        return False
    return selects(peer.get("podSelector", {}), end.labels)


def half(policies: list[Object], direction: str, here: End, there: End, port: int, protocol: str) -> bool:
    """Whether this end lets it through; an end that is not ours always does."""
    if not here.ours:
        return True
    key, field = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    concerned = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], here.labels)
    ]
    assert concerned, "no policy would mean that everything is allowed"
    return any(
        {"protocol": protocol, "port": port} in rule["ports"] and any(matches(peer, there) for peer in rule[field])
        for spec in concerned
        for rule in spec.get(key, ())
    )


def allowed(variant: tuple[str, ...], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    policies = of_kind(render(variant), "NetworkPolicy")
    return half(policies, "Egress", source, target, port, protocol) and half(
        policies, "Ingress", target, source, port, protocol
    )


BASE = ("k8s",)
TRIAL = ("k8s-overlays/trial",)
PRODUCTION = ("k8s-overlays/production",)
SPLIT = ("k8s", "split-queues")
KEDA = ("k8s", "keda")
MONITORED = ("k8s", "monitoring")
BUCKET = ("k8s", "split-queues", "object-study-store")

NEEDED = [  # variant, from, to, port
    (BASE, "yeeter-api", "yeeter-rabbitmq", 5672),
    (BASE, "yeeter-worker", "yeeter-rabbitmq", 5672),
    (BASE, "yeeter-autoscaler", "yeeter-rabbitmq", 5672),
    (BASE, "yeeter-autoscaler", "yeeter-rabbitmq", 15672),
    (BASE, "yeeter-rabbitmq", "yeeter-rabbitmq", 4369),
    (BASE, "yeeter-rabbitmq", "yeeter-rabbitmq", 25672),
    (BASE, "yeeter-api", "yeeter-postgres", 5432),
    (BASE, "yeeter-worker", "yeeter-postgres", 5432),
    (BASE, "yeeter-autoscaler", "yeeter-postgres", 5432),
    (BASE, "yeeter-migrate", "yeeter-postgres", 5432),
    (BASE, "yeeter-api", address("10.20.30.40"), 2575),
    (BASE, "yeeter-api", address("192.168.1.9"), 104),
    (BASE, "yeeter-worker", address("172.20.0.7"), 4242),
    (BASE, "yeeter-api", address("10.96.0.1"), 443),
    (BASE, "yeeter-autoscaler", address("10.96.0.1"), 443),
    (BASE, "yeeter-autoscaler", address("198.51.100.7"), 6443),
    (BASE, elsewhere("ingress-nginx"), "yeeter-api", 8000),
    (BASE, client(), "yeeter-api", 8000),
    (TRIAL, "yeeter-api", "yeeter-receive-mllp", 2575),
    (TRIAL, "yeeter-api", "yeeter-receive-dicom", 11112),
    (TRIAL, "yeeter-worker", "yeeter-receive-dicom", 11112),
    (PRODUCTION, "yeeter-api", "yeeter-rabbitmq", 5671),
    (PRODUCTION, "yeeter-worker", "yeeter-rabbitmq", 5671),
    (PRODUCTION, "yeeter-autoscaler", "yeeter-rabbitmq", 15671),
    (PRODUCTION, "yeeter-api", address("10.1.2.3"), 5432),
    (PRODUCTION, "yeeter-worker", address("10.1.2.3"), 5432),
    (PRODUCTION, "yeeter-migrate", address("10.1.2.3"), 5432),
    (PRODUCTION, elsewhere("monitoring"), "yeeter-rabbitmq", 15692),
    (SPLIT, "yeeter-worker-send", "yeeter-rabbitmq", 5672),
    (SPLIT, "yeeter-worker-send", "yeeter-postgres", 5432),
    (SPLIT, "yeeter-worker-send", address("10.20.30.40"), 104),
    (BUCKET, "yeeter-worker", address("203.0.113.5"), 443),
    (BUCKET, "yeeter-worker-send", address("203.0.113.5"), 443),
    (BUCKET, "yeeter-api", address("203.0.113.5"), 443),
    (KEDA, elsewhere("keda"), "yeeter-rabbitmq", 5672),
    (MONITORED, elsewhere("monitoring"), "yeeter-rabbitmq", 15692),
    (MONITORED, elsewhere("monitoring"), "yeeter-autoscaler", 9100),
    (MONITORED, elsewhere("monitoring"), "yeeter-api", 8000),
    (MONITORED, elsewhere("monitoring"), "yeeter-worker", 8080),
]

REFUSED = [
    (BASE, "yeeter-worker", "yeeter-api", 8000),
    (BASE, "yeeter-worker", "yeeter-rabbitmq", 15672),
    (BASE, "yeeter-worker", "yeeter-rabbitmq", 25672),
    (BASE, "yeeter-worker", "yeeter-worker", 8080),
    (BASE, "yeeter-worker", address("10.96.0.1"), 443),
    (BASE, "yeeter-worker", address("169.254.169.254"), 80),
    (BASE, "yeeter-api", address("169.254.169.254"), 443),
    (BASE, "yeeter-worker", address("203.0.113.5"), 104),
    (BASE, "yeeter-worker", address("203.0.113.5"), 443),
    (BUCKET, "yeeter-worker", address("169.254.169.254"), 443),
    (BUCKET, "yeeter-migrate", address("203.0.113.5"), 443),
    (BASE, "yeeter-worker", address("10.20.30.40"), 22),
    (BASE, "yeeter-migrate", "yeeter-rabbitmq", 5672),
    (BASE, "yeeter-autoscaler", address("10.20.30.40"), 104),
    (BASE, "yeeter-rabbitmq", address("203.0.113.5"), 443),
    (BASE, "yeeter-rabbitmq", "yeeter-postgres", 5432),
    (BASE, "yeeter-postgres", address("203.0.113.5"), 443),
    (BASE, elsewhere("default"), "yeeter-rabbitmq", 5672),
    (BASE, elsewhere("default"), "yeeter-postgres", 5432),
    (BASE, elsewhere("default"), "yeeter-api", 8000),
    (BASE, elsewhere("monitoring"), "yeeter-rabbitmq", 15692),
    (BASE, elsewhere("monitoring"), "yeeter-api", 8000),
    (BASE, elsewhere("monitoring"), "yeeter-worker", 8080),
    (MONITORED, elsewhere("default"), "yeeter-worker", 8080),
    (BASE, elsewhere("keda"), "yeeter-rabbitmq", 5672),
    (TRIAL, "yeeter-worker", "yeeter-receive-mllp", 2575),
    (TRIAL, "yeeter-receive-dicom", address("203.0.113.5"), 443),
]


def ends(variant: tuple[str, ...], source: str | End, target: str | End) -> tuple[End, End]:
    first, second = (end if isinstance(end, End) else pod_of(variant, end) for end in (source, target))
    return first, second


def show(value: object) -> str:
    if isinstance(value, End):
        return value.address or (value.namespace or {}).get("kubernetes.io/metadata.name", "?")
    return "+".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(("variant", "source", "target", "port"), NEEDED, ids=show)
def test_needed(variant: tuple[str, ...], source: str | End, target: str | End, port: int) -> None:
    assert allowed(variant, *ends(variant, source, target), port)


@pytest.mark.parametrize(("variant", "source", "target", "port"), REFUSED, ids=show)
def test_refused(variant: tuple[str, ...], source: str | End, target: str | End, port: int) -> None:
    assert not allowed(variant, *ends(variant, source, target), port)


@pytest.mark.parametrize("variant", [BASE, TRIAL, PRODUCTION, SPLIT, KEDA, MONITORED, BUCKET], ids="+".join)
def test_everybody_asks_dns_and_nothing_is_open_by_default(variant: tuple[str, ...]) -> None:
    objects = render(variant)
    deny = find(objects, "NetworkPolicy", "yeeter-default-deny")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for workload in workloads(objects):
        assert allowed(variant, End(pod_labels(workload), OURS), elsewhere("kube-system"), 53, "UDP")
    for policy in of_kind(objects, "NetworkPolicy"):
        for rule in [*policy["spec"].get("egress", ()), *policy["spec"].get("ingress", ())]:
            assert rule["ports"] and (rule.get("to") or rule.get("from")), policy["metadata"]["name"]
