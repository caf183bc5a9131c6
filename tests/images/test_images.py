"""The images as they are run in a cluster: read-only, as nobody in particular, without any privilege."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.images.conftest import Images
from tests.images.engine import PROJECT, SOURCE, Engine
from tests.services.processes import free_port, wait_until

pytestmark = pytest.mark.timeout(1500)  # the first one builds them

ALONE = "--network=none"  # loopback of its own, and nothing else
AMONG_SERVICES = "--network=host"  # the private services listen on this machine's loopback
TOKENS = "/etc/yeeter/tokens.yaml"
NOT_WRITABLE = """\
from pathlib import Path
for folder in map(Path, ("/", "/opt/yeeter", "/opt/yeeter/bin", "/etc", "/usr/local")):
    try:
        (folder / "new").write_text("")
    except OSError as error:
        assert error.errno == 13, error  # EACCES; 30, EROFS, with --read-only
    else:
        raise SystemExit(f"{folder} is writable")
"""
STATES = """\
from pathlib import Path
for stat in Path("/proc").glob("[0-9]*/stat"):
    print(stat.read_text().rpartition(")")[2].split()[0])
"""
NOT_COMPILED = """\
import importlib.util, sys, {program}
for name, module in list(sys.modules.items()):
    file = getattr(module, "__file__", None) or ""
    if file.startswith("/opt/yeeter/lib") and file.endswith(".py"):
        with open(importlib.util.cache_from_source(file), "rb") as compiled:
            assert compiled.read(8)[4] == 1, name  # unchecked (PEP 552)
"""
ASK = """\
import sys, urllib.request
headers = {"Authorization": f"Bearer {sys.argv[1]}"} if sys.argv[1:] else {}
request = urllib.request.Request("http://127.0.0.1:8000/api/simulator/runs", headers=headers)
try:
    print(urllib.request.urlopen(request, timeout=30).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(params=["yeeter", "worker"])
def image(request: pytest.FixtureRequest, images: Images) -> str:
    return str(getattr(images, request.param))


def python(engine: Engine, image: str, script: str, *options: str, code: int = 0) -> str:
    return engine.run(ALONE, "--entrypoint=python", *options, image, "-c", script, code=code)


def test_what_an_image_says_of_itself(engine: Engine, image: str) -> None:
    (described,) = json.loads(engine("podman", "image", "inspect", image))
    config, labels = described["Config"], described["Labels"]
    assert config["User"] == "10001:10001"
    assert list(config["Volumes"]) == ["/var/lib/yeeter"]
    assert config["Entrypoint"] in (["yeeter"], ["python", "-m", "app.worker"])
    assert described["HealthCheck" if "HealthCheck" in described else "Healthcheck"]["Test"][:2] == ["CMD", "python"]
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=True)
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}revision"] == revision.stdout.strip()
    assert (labels[f"{prefix}licenses"], labels[f"{prefix}source"]) == ("Apache-2.0", SOURCE)
    assert all(labels[f"{prefix}{name}"] for name in ("title", "description", "version"))


def test_the_command_line_works(engine: Engine, image: str) -> None:
    run = (ALONE, "--entrypoint=yeeter", image)
    assert "yeeter 0.1.0" in engine.run(*run, "version")
    assert engine.run(*run, "doctor").count("ok ") == 6


def test_only_its_home_and_tmp_are_writable(engine: Engine, image: str) -> None:
    python(engine, image, NOT_WRITABLE, "--read-only=false")
    python(engine, image, "open('/tmp/new', 'x'), open('/var/lib/yeeter/new', 'x')")


def test_programs_start_from_compiled_modules(engine: Engine, images: Images) -> None:
    python(engine, images.worker, NOT_COMPILED.format(program="app.worker.program"))
    python(engine, images.yeeter, NOT_COMPILED.format(program="app.api.server"))


@pytest.mark.parametrize("name", ["kubernetes", "fastapi", "uvicorn", "socketio", "pip", "pytest"])
def test_a_worker_has_nothing_that_it_does_not_need(engine: Engine, images: Images, name: str) -> None:
    assert f"No module named '{name}'" in python(engine, images.worker, f"import {name}", code=1)


def test_each_can_keep_studies_in_a_bucket(engine: Engine, image: str) -> None:
    python(engine, image, "import s3fs")


def test_what_the_other_image_has(engine: Engine, images: Images) -> None:
    python(engine, images.yeeter, "import kubernetes.client, fastapi, uvicorn, uvloop, socketio")
    assert "--once" in engine.run(ALONE, "--entrypoint=python", images.yeeter, "-m", "app.autoscaler", "--help")
    refused = engine.run(ALONE, "--entrypoint=yeeter", images.worker, "serve", code=2)
    assert "hl7-yeeter[api]" in refused and "Traceback" not in refused


def test_whoever_reaches_the_api_needs_a_token(
    engine: Engine, images: Images, volume: str, programs: ExitStack, tmp_path: Path
) -> None:
    refused = engine.run(ALONE, images.yeeter, code=2)
    assert "YEETER_TOKENS_FILE" in refused and "yeeter tokens create" in refused

    options = (ALONE, f"--volume={volume}:/etc/yeeter", f"--env=YEETER_TOKENS_FILE={TOKENS}")
    create = ("tokens", "create", "--name", "me", "--role", "admin", "--file", TOKENS, "--json")
    made = engine.run(*options, images.yeeter, *create)
    token = json.loads(made)["token"]

    api = programs.enter_context(engine.start(tmp_path / "api.log", f"api-{uuid4().hex}", *options, images.yeeter))
    assert json.loads(api.wait_for_line("serving", 120).string)["url"] == "http://0.0.0.0:8000"
    api.check_health()
    assert api.execute("python", "-c", ASK).strip() == "401"
    assert api.execute("python", "-c", ASK, token).strip() == "200"
    assert api.terminate() == 0


def test_a_run_from_one_image_by_workers_of_the_other(
    engine: Engine, images: Images, amqp_url: str, postgres_url: str, programs: ExitStack, tmp_path: Path
) -> None:
    health, mllp, dicom = free_port(), free_port(), free_port()
    options = (AMONG_SERVICES, f"--env=DATABASE_URL={postgres_url}", f"--env=RABBITMQ_URL={amqp_url}")
    assert "schema" in engine.run(*options, images.yeeter, "db", "upgrade")
    for kind, port in (("mllp", mllp), ("dicom", dicom)):
        command = (AMONG_SERVICES, images.yeeter, "receive", kind, "--port", str(port))
        receiver = engine.start(tmp_path / f"{kind}.log", f"{kind}-{uuid4().hex}", *command)
        programs.enter_context(receiver).wait_for_line(str(port), 120)
    command = (*options, f"--env=YEETER_WORKER_HEALTH_PORT={health}", images.worker)
    worker = programs.enter_context(engine.start(tmp_path / "worker.log", f"worker-{uuid4().hex}", *command))
    assert json.loads(worker.wait_for_line('"working"', 120).string)["concurrency"] == 4
    worker.check_health()

    destinations = ("--hl7", f"127.0.0.1:{mllp}", "--pacs", f"YEETER@127.0.0.1:{dicom}")
    output = engine.run(*options, images.yeeter, "run", "metadata-only", "--orders", "50", *destinations, "--json")
    summary = json.loads(output[output.index("\n{") :])
    assert (summary["verdict"], summary["orders"]["completed"]) == ("pass", 50)
    assert [each["jobs"] for each in summary["workers"]] == [50]

    assert "Z" not in worker.execute("python", "-c", STATES).split()
    assert worker.terminate() == 0
    wait_until(lambda: not worker.running, 30, "the worker ends")
