"""What the pages about Kubernetes, RabbitMQ and scale say is so."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.k8s.manifests import BASE, COMPONENTS, KUBECTL, OVERLAYS, PROJECT, find, named, of_kind, read, render
from tests.k8s.test_policy import parse

DOCS = PROJECT / "docs"
KUBERNETES = (DOCS / "kubernetes.md").read_text(encoding="utf-8")
RABBITMQ = (DOCS / "rabbitmq-deployment.md").read_text(encoding="utf-8")
SCALE = (DOCS / "scale.md").read_text(encoding="utf-8")
BENCHMARKS = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
PAGES = [KUBERNETES, RABBITMQ, SCALE]
EVERYTHING = [
    *render(("k8s-overlays/trial",)),
    *render(("k8s-overlays/production",)),
    *render(("k8s", "keda", "monitoring", "object-study-store")),
]


def kubectl_lines() -> list[str]:
    """Those of blocks and those in the text."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page, re.S)]
    typed = [line for block in blocks for line in block.splitlines()]
    inline = [words for page in PAGES for words in re.findall(r"`(kubectl [^`]+)`", page)]
    return sorted({line for line in typed + inline if line.startswith("kubectl ")})


@cache
def help_of(*words: str) -> str:
    return subprocess.run([KUBECTL, *words, "--help"], capture_output=True, text=True, timeout=60).stdout


@cache
def global_options() -> str:
    return subprocess.run([KUBECTL, "options"], capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("line", kubectl_lines())
def test_a_kubectl_command_exists_with_its_options(line: str) -> None:
    ours, _, theirs = line.partition(" -- ")
    words = shlex.split(ours)[1:]
    if words[:1] == ["-n"]:
        assert words[1] == "yeeter"
        words = words[2:]
    command = words[:2] if words[0] in ("rollout", "create") else words[:1]
    known = help_of(*command) + global_options()
    assert f"kubectl {' '.join(command)}" in known, line
    for word in words:
        if word.startswith("-"):
            option = re.escape(word.split("=")[0])
            assert re.search(rf"(^|\s){option}[ ,=:\n]", known) or word == "-it", f"{word} of {line}"
    if theirs.startswith("yeeter "):
        parse(shlex.split(theirs)[1:])


@pytest.mark.parametrize("line", kubectl_lines())
def test_what_a_kubectl_command_names_is_there(line: str) -> None:
    words = shlex.split(line.partition(" -- ")[0])
    for flag, value in pairwise(words):
        if flag in ("-f", "-k") and value != "mine":
            assert (PROJECT / value).exists(), line
    names = {item["metadata"]["name"] for item in EVERYTHING}
    for word in words:
        name = word.rpartition("/")[2]
        if name.startswith("yeeter-") and ":" not in name:
            assert name in names or re.sub(r"-\d$", "", name) in names, f"{name} of {line}"


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the table whose first column is headed so."""
    (rows,) = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.M)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows.splitlines()]


def code(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def test_files_overlays_and_components_are_listed() -> None:
    listed = {name for row in table(KUBERNETES, "File") for name in code(row[0])}
    assert listed == {f"k8s/{path.name}" for path in BASE.glob("*.yaml")} - {"k8s/kustomization.yaml"}
    listed = {name for row in table(KUBERNETES, "Overlay") for name in code(row[0])}
    assert listed == {f"k8s-overlays/{path.name}" for path in OVERLAYS.iterdir()}
    listed = {name for row in table(KUBERNETES, "Component of `k8s/components`") for name in code(row[0])}
    assert listed == set(COMPONENTS)


def test_network_policies_are_listed() -> None:
    listed = {name for row in table(KUBERNETES, "NetworkPolicy") for name in code(row[0])}
    assert listed == {item["metadata"]["name"] for item in of_kind(render(("k8s",)), "NetworkPolicy")}
    for item in of_kind(EVERYTHING, "NetworkPolicy"):
        assert f"`{item['metadata']['name']}`" in KUBERNETES


def test_keys_of_the_secret_are_listed() -> None:
    listed = {name for row in table(KUBERNETES, "Key of `yeeter-secrets`") for name in code(row[0])}
    assert listed == set(read(BASE / "secrets.yaml")[0]["stringData"])


def test_service_accounts_are_listed() -> None:
    listed = {name for row in table(KUBERNETES, "Service account") for name in code(row[0])}
    assert listed == {item["metadata"]["name"] for item in of_kind(render(("k8s",)), "ServiceAccount")}


def test_the_overlay_of_your_own_can_be_built(tmp_path: Path) -> None:
    """With the commands that the page has for its secrets."""
    shutil.copytree(BASE, tmp_path / "k8s")
    (tmp_path / "mine").mkdir()
    (kustomization,) = [
        text for text in re.findall(r"```yaml\n(.*?)```", KUBERNETES, re.S) if "secretGenerator" in text
    ]
    (tmp_path / "mine" / "kustomization.yaml").write_text(kustomization)
    (block,) = [text for text in re.findall(r"```sh\n(.*?)```", KUBERNETES, re.S) if "openssl" in text]
    assert block.endswith("kubectl apply -k mine\n")
    script = block.replace("kubectl apply -k mine", f"{KUBECTL} kustomize mine > rendered.yaml")
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env={"PATH": path, "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    objects = [item for item in yaml.safe_load_all((tmp_path / "rendered.yaml").read_text()) if item]
    secret = find(objects, "Secret", "yeeter-secrets")
    assert set(secret["data"]) == set(read(BASE / "secrets.yaml")[0]["stringData"])
    assert "Deployment/yeeter-worker-send" in map(named, objects)
    images = {item["spec"]["template"]["spec"]["containers"][0]["image"] for item in of_kind(objects, "Deployment")}
    assert images == {"registry.example/yeeter:0.1.0", "registry.example/yeeter-worker:0.1.0"}


def test_rabbitmqs_settings_are_told_as_they_are() -> None:
    data = find(render(("k8s",)), "ConfigMap", "yeeter-rabbitmq")["data"]
    for name in [cell for row in table(RABBITMQ, "Setting") for cell in code(row[0]) if "." in cell or "_" in cell]:
        assert name in data["rabbitmq.conf"] + data["advanced.config"], name
    plugins = code(table(RABBITMQ, "Setting")[0][1])
    assert plugins == set(re.findall(r"rabbitmq_\w+", data["enabled_plugins"]))
    assert "raft.wal_max_size_bytes = 134217728\n" in data["rabbitmq.conf"] and "| 128 MiB |" in RABBITMQ
    assert "disk_free_limit.absolute = 2GB\n" in data["rabbitmq.conf"] and "alarm below 2 GB" in RABBITMQ
    assert data["advanced.config"].strip() in RABBITMQ
    node = find(render(("k8s",)), "StatefulSet", "yeeter-rabbitmq")
    (claim,) = node["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi" and "| 20 GiB a node" in RABBITMQ
    assert f"has {node['spec']['template']['spec']['containers'][0]['image'].split(':')[1][:3]}," in RABBITMQ


# --- scale ---

A_SECOND = 1_000_000_000 / 86_400


@pytest.mark.parametrize("figure", ["0.35 ms", "0.34 ms", "4,584", "31,617", "1,475"])
def test_what_was_measured_stands_on_the_page_of_benchmarks(figure: str) -> None:
    assert figure in SCALE and figure in BENCHMARKS


@pytest.mark.parametrize(
    ("said", "value", "unit"),
    [
        ("11,574 a second", A_SECOND, 1),
        ("| 4.1 cores, 3 processes |", A_SECOND * 0.00035, 1),
        ("| 3.9 cores |", A_SECOND * 0.00034, 1),
        ("3 processes", math.ceil(A_SECOND / 4_584), 1),
        ("17 MB/s in", A_SECOND * 1.5e3, 1e6),
        ("37 % of what one queue", A_SECOND / 31_617, 0.01),
        ("127,000 rows/s", A_SECOND * 11, 1),
        ("58 MB/s", A_SECOND * 5.0e3, 1e6),
        ("5.0 TB a day", 1e9 * 5.0e3 / 1e12, 1),
        ("83 MB/s", A_SECOND * 7.2e3, 1e6),
        ("7.2 TB a day", 1e9 * 7.2e3 / 1e12, 1),
        ("86 million a day", 1_000 * 86_400, 1e6),
        ("1,037 million a day", 12_000 * 86_400, 1e6),
        ("950 million rows a\n   day", 1_000 * 86_400 * 11, 1e6),
        ("16 cores", 2 * A_SECOND * 0.00069, 1),
        ("8 like the Orthanc", math.ceil(A_SECOND / 1_475), 1),
    ],
)
def test_the_arithmetic(said: str, value: float, unit: float) -> None:
    number = float(re.search(r"[\d,.]*\d", said)[0].replace(",", ""))  # type: ignore[index]
    assert re.sub(r"\s+", " ", said) in re.sub(r"\s+", " ", SCALE)
    assert value / unit == pytest.approx(number, rel=0.03)
