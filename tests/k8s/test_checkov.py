"""checkov finds nothing, and whatever it is told to skip has its reason beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.manifests import PROJECT, render

VARIANTS = [
    ("k8s-overlays/production",),
    ("k8s-overlays/trial",),
    ("k8s", "split-queues", "monitoring", "keda"),
]
pytestmark = pytest.mark.timeout(1200)  # the first time it makes an environment of its own
SKIPPED = {"CKV_K8S_15", "CKV_K8S_35", "CKV_K8S_38", "CKV_K8S_40", "CKV_K8S_43"}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("rendered")
    for number, variant in enumerate(VARIANTS):
        (folder / f"{number}.yaml").write_text(yaml.safe_dump_all(render(variant)))
    return scan(folder)


def scan(folder: Path) -> dict[str, Any]:
    # `--skip-download`: no word to anybody about what is checked.
    command = [PROJECT / "scripts" / "checkov", "-d", folder, "--framework", "kubernetes"]
    options = ["--skip-download", "--output", "json", "--soft-fail"]
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_nothing_is_found(findings: dict[str, Any]) -> None:
    failed = findings["results"]["failed_checks"]
    assert [f"{each['check_id']} {each['resource']}: {each['check_name']}" for each in failed] == []
    assert findings["summary"]["passed"] > 500 and findings["summary"]["parsing_errors"] == 0


def test_what_is_skipped_has_a_reason(findings: dict[str, Any]) -> None:
    skipped = findings["results"]["skipped_checks"]
    assert {each["check_id"] for each in skipped} == SKIPPED
    for each in skipped:
        assert len(each["check_result"]["suppress_comment"]) > 30


def test_it_would_find_something(tmp_path: Path) -> None:
    """The check itself works: without what is skipped, and with a root that can be written to."""
    objects = [json.loads(json.dumps(item)) for item in render(("k8s",)) if item["kind"] == "Deployment"]
    for item in objects:
        del item["metadata"]["annotations"]
        item["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] = False
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump_all(objects))
    found = {each["check_id"] for each in scan(tmp_path)["results"]["failed_checks"]}
    assert {"CKV_K8S_22", "CKV_K8S_35", "CKV_K8S_43"} <= found
