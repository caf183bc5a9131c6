"""What `kubectl kustomize` makes of the manifests, and questions to ask of the objects."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
BASE = PROJECT / "k8s"
OVERLAYS = PROJECT / "k8s-overlays"
KUBECTL = Path(sys.executable).with_name("kubectl")
COMPONENTS = sorted(
    (path.parent.name for path in BASE.glob("components/*/kustomization.yaml")),
    key=lambda name: (name != "split-queues", name),  # brings Deployments that others change, so it comes first
)
FILES = sorted(path for root in (BASE, OVERLAYS) for path in root.rglob("*.yaml") if path.name != "kustomization.yaml")
WORKLOADS = ("Deployment", "StatefulSet", "Job")

Object = dict[str, Any]


def variants() -> Iterator[tuple[str, ...]]:
    """The base, the overlays, the base with each component, and with all that go together."""
    yield ("k8s",)
    for overlay in sorted(OVERLAYS.iterdir()):
        yield (f"k8s-overlays/{overlay.name}",)
    for name in COMPONENTS:
        yield ("k8s", name)
    together = [name for name in COMPONENTS if name != "shared-study-store"]  # split-queues brings it
    yield ("k8s", *together)
    yield ("k8s", *(name for name in together if name != "keda"))


@cache
def render(variant: tuple[str, ...]) -> list[Object]:
    """The objects of a folder, with these components added to it."""
    folder, *components = variant
    if not components:
        return _kustomize(PROJECT / folder)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary).resolve()
        kustomization = {
            "resources": [os.path.relpath(PROJECT / folder, place)],
            "components": [os.path.relpath(BASE / "components" / name, place) for name in components],
        }
        (place / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return _kustomize(place)


def _kustomize(folder: Path) -> list[Object]:
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@cache
def read(path: Path) -> list[Object]:
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def named(item: Object) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def find(objects: Iterable[Object], kind: str, name: str) -> Object:
    """The one object of this kind and name."""
    (found,) = [item for item in objects if named(item) == f"{kind}/{name}"]
    return found


def of_kind(objects: Iterable[Object], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]


def pod(workload: Object) -> Object:
    """The specification of a workload's pods."""
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def pod_labels(workload: Object) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def containers(workload: Object) -> list[Object]:
    return [*pod(workload).get("initContainers", ()), *pod(workload)["containers"]]


def workloads(objects: Iterable[Object]) -> list[Object]:
    return of_kind(objects, *WORKLOADS)


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector takes something with these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions", ()):
        assert term["operator"] == "In", term
        if labels.get(term["key"]) not in term["values"]:
            return False
    return True


def environment(container: Object, objects: Sequence[Object]) -> dict[str, Any]:
    """Names and values (None: from elsewhere) that a container is given."""
    found: dict[str, Any] = {}
    for source in container.get("envFrom", ()):
        found |= find(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    return found | {entry["name"]: entry.get("value") for entry in container.get("env", ())}


def references(workload: Object) -> Iterator[tuple[str, str, set[str]]]:
    """What its pods are given from elsewhere: kind, name, and the keys (none: all, or it has none)."""
    for volume in pod(workload)["volumes"]:
        for source in [volume, *volume.get("projected", {}).get("sources", ())]:
            yield from _of_source(source)
    for container in containers(workload):
        for source in container.get("envFrom", ()):
            yield "ConfigMap", source["configMapRef"]["name"], set()
        for entry in container.get("env", ()):
            if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
                yield "Secret", reference["name"], {reference["key"]}


def _of_source(source: Object) -> Iterator[tuple[str, str, set[str]]]:
    for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if field in source:
            name = source[field].get("secretName") or source[field]["name"]
            yield kind, name, {item["key"] for item in source[field].get("items", ())}
    if "persistentVolumeClaim" in source:
        yield "PersistentVolumeClaim", source["persistentVolumeClaim"]["claimName"], set()
