"""Worker pools that are Kubernetes Deployments, and leadership by a Lease (coordination.k8s.io/v1).

Needs no more than to get and patch the scale of the named Deployments, and to get and update one Lease that is there
already. The client library is an extra (``pip install 'hl7-yeeter[kubernetes]'``) and imported when it is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from app.domain.errors import Conflict, InvalidInput, NotFound, Problem, Unavailable
from app.domain.scaling import PoolPolicy, PoolSize
from app.ports import SeenPool

log = structlog.get_logger()

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
SECONDS = (5.0, 10.0)  # to connect, and to be answered


def connect(namespace: str | None) -> Cluster:
    """The cluster that this pod is in, or the one of the kubeconfig.

    Raises:
        InvalidInput: the client is not installed, or there is no configuration for it.
    """
    try:
        import kubernetes
    except ImportError as error:
        cure = "install the extra: pip install 'hl7-yeeter[kubernetes]'"
        raise InvalidInput(Problem("YEETER_AUTOSCALER_PLATFORM", "the Kubernetes client is not there", cure)) from error
    try:
        kubernetes.config.load_config()  # type: ignore[no-untyped-call]
    except kubernetes.config.ConfigException as error:
        cure = "run it in a pod with a service account, or give a kubeconfig"
        raise InvalidInput(Problem("YEETER_AUTOSCALER_PLATFORM", f"no cluster: {error}", cure)) from error
    own = NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"
    return Cluster(kubernetes.client.ApiClient(), namespace or own)


class Cluster:
    """The two APIs that are used, in one namespace."""

    def __init__(self, client: Any, namespace: str) -> None:
        import kubernetes

        self.namespace = namespace
        self._client = client
        self._error = kubernetes.client.ApiException
        self.apps = kubernetes.client.AppsV1Api(client)
        self.coordination = kubernetes.client.CoordinationV1Api(client)

    def ask(self, call: Callable[..., Any], name: str, verb: str, *arguments: Any) -> Any:
        """Raises Conflict, NotFound and Unavailable; ``verb`` says what was asked for, in a cluster's own words."""
        with self._errors(f"{verb} {name}"):
            return call(name, self.namespace, *arguments, _request_timeout=SECONDS)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _errors(self, asked: str) -> Iterator[None]:
        place = f"namespace {self.namespace}"
        try:
            yield
        except self._error as error:
            match error.status:
                case 404:
                    raise NotFound(f"Kubernetes has no such object in {place}: {asked}") from error
                case 409:
                    raise Conflict(f"somebody else changed it meanwhile: {asked}") from error
                case 401 | 403:
                    cure = f"its service account needs a Role in {place} that allows it; see k8s/autoscaler.yaml"
                    raise Unavailable(f"Kubernetes forbids to {asked} ({cure})") from error
            raise Unavailable(f"Kubernetes could not {asked}: {error.status} {error.reason}") from error
        except Exception as error:  # urllib3's, of many kinds
            raise Unavailable(f"Kubernetes can't be reached to {asked}: {error}") from error


class KubernetesPools:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def look(self, policy: PoolPolicy) -> SeenPool:
        read = self._cluster.apps.read_namespaced_deployment_scale
        scale = self._cluster.ask(read, policy.deployment, "get deployments/scale")
        size = PoolSize(scale.spec.replicas or 0, scale.status.replicas or 0)
        return SeenPool(size, scale.metadata.uid, scale.metadata.resource_version)

    def resize(self, policy: PoolPolicy, seen: SeenPool, replicas: int) -> None:
        patch = {"metadata": {"resourceVersion": seen.version}, "spec": {"replicas": replicas}}
        change = self._cluster.apps.patch_namespaced_deployment_scale
        self._cluster.ask(change, policy.deployment, "patch deployments/scale", patch)

    def close(self) -> None:
        self._cluster.close()


class LeaseLeadership:
    """Holds a Lease that the manifests bring along.

    Clocks of two machines are never compared: it has run out when it did not change for its duration, seen from here.
    """

    def __init__(
        self, cluster: Cluster, name: str, identity: str, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._identity = identity
        self._seconds = seconds
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)  # its version, and since when

    def hold(self) -> bool:
        lease = self._cluster.ask(self._cluster.coordination.read_namespaced_lease, self._name, "get leases")
        now, version = self._clock(), lease.metadata.resource_version
        if self._seen[0] != version:
            self._seen = version, now
        holder = lease.spec.holder_identity if lease.spec else None
        duration = (lease.spec.lease_duration_seconds if lease.spec else None) or self._seconds
        if holder and holder != self._identity and now - self._seen[1] < duration:
            return False
        try:
            self._write(lease, self._identity, is_new=holder != self._identity)
        except Conflict:  # another one was faster
            return False
        return True

    def release(self) -> None:
        try:
            lease = self._cluster.ask(self._cluster.coordination.read_namespaced_lease, self._name, "get leases")
            if lease.spec and lease.spec.holder_identity == self._identity:
                self._write(lease, "", is_new=False)
        except (Conflict, NotFound, Unavailable) as error:
            log.warning("leadership not released, it will run out", reason=str(error))

    def _write(self, lease: Any, holder: str, *, is_new: bool) -> None:
        import kubernetes

        now = datetime.now(UTC)
        spec = lease.spec or kubernetes.client.V1LeaseSpec()
        spec.holder_identity = holder
        spec.lease_duration_seconds = round(self._seconds)
        spec.renew_time = now
        if is_new:
            spec.acquire_time = now
            spec.lease_transitions = (spec.lease_transitions or 0) + 1
        lease.spec = spec
        written = self._cluster.ask(
            self._cluster.coordination.replace_namespaced_lease, self._name, "update leases", lease
        )
        self._seen = written.metadata.resource_version, self._clock()
