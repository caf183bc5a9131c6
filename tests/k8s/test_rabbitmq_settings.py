"""RabbitMQ starts with the manifests' settings, and Yeeter's broker works with what they allow.

The node here is older than the image and alone: what it does not know yet, or can't do alone, is left out.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.ports import Message
from tests.k8s.manifests import BASE, find, pod, read, render
from tests.services.processes import free_port
from tests.services.rabbitmq import CONTROL, RabbitMq

NOT_HERE = ("cluster_formation.", "quorum_queue.")
SECRET: dict[str, str] = read(BASE / "secrets.yaml")[0]["stringData"]
USER, PASSWORD = (line.split(" = ")[1] for line in SECRET["rabbitmq-default-user.conf"].splitlines())


class Node(RabbitMq):
    """A node with the settings of the manifests, on ports of its own."""

    def use(self, folder: str, *components: str) -> None:
        objects = render((folder, *components))
        data = find(objects, "ConfigMap", "yeeter-rabbitmq")["data"]
        settings = data["rabbitmq.conf"] + SECRET["rabbitmq-default-user.conf"]
        self.metrics_port = free_port()
        settings += f"prometheus.tcp.port = {self.metrics_port}\n"
        if components:
            settings += self._local(find(objects, "ConfigMap", "yeeter-rabbitmq-tls")["data"]["tls.conf"])
        else:
            settings += f"listeners.tcp.1 = 127.0.0.1:{self.port}\nmanagement.tcp.port = {self.management_port}\n"
        kept = [line for line in settings.splitlines() if not line.startswith(NOT_HERE)]
        (self.folder / "rabbitmq.conf").write_text("\n".join(kept) + "\n")
        (self.folder / "advanced.config").write_text(data["advanced.config"])
        (self.folder / "enabled_plugins").write_text(data["enabled_plugins"])

    def declare(self, queue: str) -> None:
        broker = RabbitMqBroker(f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/%2F")
        broker.declare([queue])
        broker.close()

    def _local(self, settings: str) -> str:
        files = {"ca.crt": "ca.pem", "tls.crt": "127.0.0.1.crt", "tls.key": "127.0.0.1.key"}
        for name, own in files.items():
            settings = settings.replace(f"/etc/rabbitmq-tls/{name}", str(self.folder / "tls" / own))
        settings = settings.replace("default = 5671", f"default = {self.tls_port}")
        return settings.replace("port = 15671", f"port = {self.management_port}")

    def _serves(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.management_port or 0), 5).close()
            for port in (self.port, self.tls_port):
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 5).close()
                    return True
        return super()._serves()  # ended?

    def setting(self, name: str) -> str:
        """As the running node has it."""
        command = [CONTROL, "--quiet", "eval", f"application:get_env(rabbit, {name})."]
        done = subprocess.run(command, env=self._environment, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()


@contextmanager
def running(folder: str, *components: str) -> Iterator[Node]:
    place = Path(tempfile.mkdtemp(prefix="yeeter-rabbitmq-"))
    node = Node(place, management=True)
    try:
        node.use(folder, *components)
        node.start()
        yield node
    finally:
        node.close()
        shutil.rmtree(place, ignore_errors=True)


def ask(url: str, method: str = "GET", tls: ssl.SSLContext | None = None) -> Any:
    credentials = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, b"{}" if method == "PUT" else None, headers, method=method)
    openers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)]
    with urllib.request.build_opener(*openers).open(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def test_the_user_of_the_manifests_can_do_what_yeeter_does_and_no_more() -> None:
    with running("k8s") as node:
        assert node.setting("dead_letter_worker_publisher_confirm_timeout") == "{ok,10000}"
        broker = RabbitMqBroker(f"amqp://{USER}:{PASSWORD}@127.0.0.1:{node.port}/%2F")
        try:
            broker.declare(["yeeter.simulation.orders", "send_dicom"])
            broker.publish([Message("1", "yeeter.simulation.orders", b"{}")])
            assert broker.depth("yeeter.simulation.orders").ready == 1
        finally:
            broker.close()
        management = f"http://127.0.0.1:{node.management_port}/api"
        totals = ask(f"{management}/queues?disable_stats=true&enable_queue_totals=true")
        assert {"send_dicom", "yeeter.dead", "yeeter.simulation.orders"} == {queue["name"] for queue in totals}
        assert ask(f"{management}/whoami")["tags"] == ["monitoring"]
        with pytest.raises(urllib.error.HTTPError, match=r"401|403"):
            ask(f"{management}/users/somebody", "PUT")


def test_by_tls_and_nothing_else() -> None:
    with running("k8s", "amqp-tls") as node:
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", node.port), 5)
        tls = ssl.create_default_context(cafile=str(node.folder / "tls" / "ca.pem"))
        broker = RabbitMqBroker(f"amqps://{USER}:{PASSWORD}@127.0.0.1:{node.tls_port}/%2F", tls=tls)
        try:
            broker.declare(["yeeter.simulation.orders"])
            assert broker.depth("yeeter.simulation.orders").ready == 0
        finally:
            broker.close()
        assert ask(f"https://127.0.0.1:{node.management_port}/api/whoami", tls=tls)["name"] == USER


@pytest.mark.parametrize("folder", ["k8s-overlays/trial", "k8s-overlays/production"])
def test_an_overlay_changes_sizes_only(folder: str) -> None:
    def settings(of: str) -> dict[str, str]:
        text = find(render((of,)), "ConfigMap", "yeeter-rabbitmq")["data"]["rabbitmq.conf"]
        return dict(line.split(" = ") for line in text.splitlines() if line and not line.startswith("#"))

    sizes = {"total_memory_available_override_value", "raft.wal_max_size_bytes", "disk_free_limit.absolute"}
    of_a_cluster = {name for name in settings("k8s") if name.startswith(("quorum_queue.", "queue_leader"))}
    alone = pod_count(folder) == 1
    changed = {name for name, value in settings("k8s").items() if settings(folder).get(name) != value}
    assert changed <= sizes | (of_a_cluster if alone else set())


def pod_count(folder: str) -> int:
    replicas: int = find(render((folder,)), "StatefulSet", "yeeter-rabbitmq")["spec"]["replicas"]
    return replicas


def test_nodes_are_named_by_the_service_that_names_them() -> None:
    node = find(render(("k8s",)), "StatefulSet", "yeeter-rabbitmq")
    (container,) = pod(node)["containers"]
    (name,) = [entry["value"] for entry in container["env"] if entry["name"] == "RABBITMQ_NODENAME"]
    assert name == f"rabbit@$(POD).{node['spec']['serviceName']}.$(NAMESPACE)"
    size = find(render(("k8s",)), "ConfigMap", "yeeter-rabbitmq")["data"]["rabbitmq.conf"]
    assert re.search(r"target_group_size = (\d)", size)[1] == str(node["spec"]["replicas"])  # type: ignore[index]
