"""A Kubernetes API of the tests: the scale of Deployments, and Leases, as a cluster has them, behind given Roles.

kmock serves and records the requests; what an API server decides about them is here: who may do it (RBAC), and whether
it still is what the caller has seen (resourceVersion).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import kmock
import yaml
from kubernetes import client

NAMESPACE = "yeeter"
K8S = Path(__file__).resolve().parents[2] / "k8s"
ADMINISTRATOR = "administrator"  # whose token may do everything, as kubectl's usually may
VERBS = {"GET": "get", "PATCH": "patch", "PUT": "update", "POST": "create", "DELETE": "delete"}

Rules = Sequence[Mapping[str, Sequence[str]]]  # of a Role, as its manifest has them


def rules_of(manifest: str) -> Rules:
    """Of the Role in a file of ``k8s/``: what the tests may do is what a deployment may."""
    documents = yaml.safe_load_all((K8S / manifest).read_text(encoding="utf-8"))
    (role,) = [document for document in documents if document["kind"] == "Role"]
    return list(role["rules"])


class Asked(NamedTuple):
    """A request that was allowed or not; ``resource`` as Roles write it (``deployments/scale``)."""

    account: str
    verb: str
    resource: str
    name: str
    status: int


@dataclass
class Scaled:
    """A Deployment: how many replicas are wanted, and how many there are."""

    replicas: int = 1
    present: int = 1
    uid: str = field(default_factory=lambda: str(uuid4()))
    version: int = 1


class Cluster:
    """A context manager; ``url`` is where it serves. Used from any thread."""

    def __init__(self, roles: Mapping[str, Rules]) -> None:
        """``roles``: what each service account may; an account's token is its name."""
        self._roles = dict(roles)
        self._versions = count(100)
        self._lock = threading.Lock()
        self.deployments: dict[str, Scaled] = {}
        self.leases: dict[str, dict[str, Any]] = {}
        self.asked: list[Asked] = []
        self.changes: list[tuple[str, int]] = []  # of deployments, as they were patched
        self.on_change: Callable[[str, int], None] = lambda name, replicas: None
        self.failing = False  # answers 500 to everything
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self) -> Cluster:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Nobody answers any more."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)
            self._loop.close()

    def add_deployment(self, name: str, replicas: int = 1) -> Scaled:
        self.deployments[name] = Scaled(replicas, replicas)
        return self.deployments[name]

    def add_lease(self, name: str) -> None:
        self.leases[name] = {"metadata": {"name": name, "namespace": NAMESPACE, "resourceVersion": "1"}, "spec": {}}

    @contextlib.contextmanager
    def client(self, account: str) -> Iterator[client.ApiClient]:
        """The client library as this service account has it."""
        configuration = client.Configuration(host=self.url)
        configuration.api_key = {"authorization": f"Bearer {account}"}
        configuration.retries = 0
        with client.ApiClient(configuration) as connected:
            yield connected

    def scale_by_hand(self, name: str, replicas: int) -> None:
        """As ``kubectl scale`` does."""
        with self.client(ADMINISTRATOR) as connected:
            body = {"spec": {"replicas": replicas}}
            client.AppsV1Api(connected).patch_namespaced_deployment_scale(name, NAMESPACE, body)

    def allow(self, account: str, rules: Rules) -> None:
        self._roles[account] = rules

    def deny(self, account: str, verb: str) -> None:
        """Take a verb out of all that the account may."""
        rules = self._roles[account]
        self._roles[account] = [{**rule, "verbs": [each for each in rule["verbs"] if each != verb]} for rule in rules]

    # --- serving ---

    async def _serve(self) -> None:
        async with kmock.RawHandler() as handler, kmock.Server(handler) as server:
            handler.fallback << self._answer
            self.url = str(server.url).rstrip("/")
            self._ready.set()
            await self._stop.wait()

    def _answer(self, request: kmock.Request) -> kmock.Response:
        with self._lock:
            status, document = self._judge(request)
        if status >= 400:
            document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": document}
        return kmock.Response(status=status, payload=document)

    def _judge(self, request: kmock.Request) -> tuple[int, Any]:
        account = request.headers.get("Authorization", "").removeprefix("Bearer ")
        verb, name = VERBS[request.method.value], request.name or ""
        resource = request.resource.plural if request.resource else ""
        whole = f"{resource}/{request.subresource}" if request.subresource else str(resource)
        group = request.resource.group if request.resource else ""
        if self.failing:
            status, document = 500, "etcdserver: request timed out"
        elif not self._allows(account, verb, group or "", whole, name):
            status, document = 403, f'User "{account}" cannot {verb} resource "{whole}" in the namespace "{NAMESPACE}"'
        elif request.namespace != NAMESPACE:
            status, document = 404, f"namespace {request.namespace!r} not found"
        elif whole == "deployments/scale":
            status, document = self._scale(verb, name, request.data)
        elif whole == "leases":
            status, document = self._lease(verb, name, request.data)
        else:
            status, document = 404, f"the server has no resource {whole!r}"
        self.asked.append(Asked(account, verb, whole, name, status))
        return status, document

    def _allows(self, account: str, verb: str, group: str, resource: str, name: str) -> bool:
        return account == ADMINISTRATOR or any(
            verb in rule["verbs"]
            and group in rule["apiGroups"]
            and resource in rule["resources"]
            and name in rule.get("resourceNames", [name])
            for rule in self._roles.get(account, ())
        )

    def _scale(self, verb: str, name: str, body: Any) -> tuple[int, Any]:
        deployment = self.deployments.get(name)
        if deployment is None:
            return 404, f'deployments.apps "{name}" not found'
        if verb == "patch":
            seen = body.get("metadata", {}).get("resourceVersion")
            if seen not in (None, str(deployment.version)):
                return 409, "the object has been modified; please apply your changes to the latest version"
            deployment.replicas = body["spec"]["replicas"]
            deployment.version = next(self._versions)
            self.changes.append((name, deployment.replicas))
            self.on_change(name, deployment.replicas)
        metadata = {"name": name, "namespace": NAMESPACE, "uid": deployment.uid}
        return 200, {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": metadata | {"resourceVersion": str(deployment.version)},
            "spec": {"replicas": deployment.replicas},
            "status": {"replicas": deployment.present},
        }

    def _lease(self, verb: str, name: str, body: Any) -> tuple[int, Any]:
        lease = self.leases.get(name)
        if lease is None:
            return 404, f'leases.coordination.k8s.io "{name}" not found'
        if verb == "update":
            if body["metadata"].get("resourceVersion") != lease["metadata"]["resourceVersion"]:
                return 409, "the object has been modified"
            lease = self.leases[name] = body
            lease["metadata"]["resourceVersion"] = str(next(self._versions))
        return 200, {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1"} | lease
