"""A private RabbitMQ node: its own ports, name, data and port mapper, apart from any other node on the machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tests.services.certificates import Authority
from tests.services.processes import Program, ServiceMissing, free_port, wait_until

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONTROL = SERVER.with_name("rabbitmqctl")
USER, PASSWORD = "yeeter", "quiet-Broker/7"

CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
listeners.ssl.1 = 127.0.0.1:{amqps}
ssl_options.cacertfile = {tls}/ca.pem
ssl_options.certfile = {tls}/127.0.0.1.crt
ssl_options.keyfile = {tls}/127.0.0.1.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
default_user = {user}
default_pass = {password}
log.file.level = info
disk_free_limit.absolute = {disk}
vm_memory_high_watermark.relative = {memory}
"""
# How often it tries again to move what is dead to a place that was not there: 180 s are too long for a test.
ADVANCED = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 500}]}]."
MEMORY_LIMIT = "0.4"  # of the machine's memory
DISK_LIMIT = "50MB"
MANAGEMENT = """\
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
"""


class RabbitMq:
    """A node with its data in a folder; it can be stopped, killed and started again.

    Args:
        folder: empty; takes data, logs and the cookie.
        management: also serve the management API, which ``new_virtual_host`` asks for.

    Raises:
        ServiceMissing: RabbitMQ is not installed.
    """

    def __init__(self, folder: Path, management: bool = False) -> None:
        if not SERVER.exists():
            raise ServiceMissing("rabbitmq-server", "rabbitmq-server")
        self.folder = folder
        self.port = free_port()
        self.tls_port = free_port()
        self.authority = Authority(folder / "tls")  # of its certificate for 127.0.0.1, and those of its clients
        self.authority.issue("127.0.0.1")
        self.management_port = free_port() if management else None
        self._epmd_port = free_port()
        self._environment = self._write_configuration()
        self._epmd: Program | None = None
        self._server: Program | None = None

    def url(self, virtual_host: str = "/") -> str:
        """AMQP address of a virtual host, credentials included."""
        return f"amqp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{quote(virtual_host, safe='')}"

    def tls_url(self, virtual_host: str = "/", host: str = "127.0.0.1") -> str:
        """Address of a virtual host by TLS, with a certificate that names 127.0.0.1."""
        return f"amqps://{USER}:{quote(PASSWORD, safe='')}@{host}:{self.tls_port}/{quote(virtual_host, safe='')}"

    def start(self) -> None:
        """Start with the data that is there; returns when it serves."""
        if self._epmd is None:
            self._epmd = Program(
                ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"], self.folder / "epmd.log"
            )
        self._server = Program([SERVER], self.folder / "server.log", self._environment)
        wait_until(self._serves, 150, f"RabbitMQ, log in {self.folder}")

    def stop(self) -> None:
        """Shut down in good order."""
        if self._server is not None:
            self._server.terminate()

    def kill(self) -> None:
        """As a power cut would: SIGKILL."""
        if self._server is not None:
            self._server.kill()

    def freeze(self) -> None:
        """Stop the node's process without ending it: connections stay open, nobody answers."""
        os.kill(self._beam(), signal.SIGSTOP)
        wait_until(self._is_frozen, 10, "the node's threads to stop")  # each does so at its own next chance

    def thaw(self) -> None:
        """Let a frozen node go on."""
        os.kill(self._beam(), signal.SIGCONT)

    def close(self) -> None:
        """End every process."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()

    @contextlib.contextmanager
    def new_virtual_host(self) -> Iterator[str]:
        """A virtual host that nobody else uses; it goes with all its queues."""
        name = f"test-{uuid4().hex[:12]}"
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._manage("PUT", f"vhosts/{name}", {})
        self._manage("PUT", f"permissions/{name}/{USER}", everything)
        try:
            yield name
        finally:
            self._manage("DELETE", f"vhosts/{name}", {})

    def delete_queue(self, virtual_host: str, queue: str) -> None:
        """Delete a queue with its messages, as an operator would."""
        self._manage("DELETE", f"queues/{virtual_host}/{queue}", {})

    def unbind(self, virtual_host: str, exchange: str, queue: str) -> None:
        """Remove the binding of a queue by its own name."""
        self._manage("DELETE", f"bindings/{virtual_host}/e/{exchange}/q/{queue}/{queue}", {})

    def limit_queue(self, virtual_host: str, queue: str, messages: int) -> None:
        """Let a queue hold no more messages than these, by a policy."""
        policy = {"pattern": f"^{queue}$", "definition": {"max-length": messages}, "apply-to": "queues"}
        self._manage("PUT", f"policies/{virtual_host}/limit", policy)

    @contextlib.contextmanager
    def alarm(self) -> Iterator[None]:
        """As if its memory ran low: it takes no messages."""
        self._control("set_vm_memory_high_watermark", "0.00001")
        try:
            yield
        finally:
            self._control("set_vm_memory_high_watermark", MEMORY_LIMIT)

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """As if its disk had run full: it takes no messages."""
        self._control("set_disk_free_limit", "1000000GB")
        try:
            yield
        finally:
            self._control("set_disk_free_limit", DISK_LIMIT)

    def _control(self, *arguments: str) -> None:
        subprocess.run([CONTROL, *arguments], env=self._environment, check=True, capture_output=True, timeout=60)

    def _is_frozen(self) -> bool:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            stats = Path(f"/proc/{self._beam()}/task").glob("*/stat")
            return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats)
        return False

    def _beam(self) -> int:
        return int((self.folder / "pid").read_text())

    def _manage(self, method: str, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.management_port}/api/{path}",
            json.dumps(body).encode(),
            {
                "Authorization": "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
                "Content-Type": "application/json",
            },
            method=method,
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
            pass

    def _serves(self) -> bool:
        if self._server is None or not self._server.running:
            raise RuntimeError(f"RabbitMQ ended: {self._server.output if self._server else ''}; log in {self.folder}")
        with contextlib.suppress(OSError):
            if self.management_port is not None:
                socket.create_connection(("127.0.0.1", self.management_port), 5).close()
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"  # the method frame connection.start
        return False

    def _write_configuration(self) -> dict[str, str]:
        settings = CONFIGURATION.format(
            amqp=self.port,
            amqps=self.tls_port,
            tls=self.folder / "tls",
            memory=MEMORY_LIMIT,
            disk=DISK_LIMIT,
            user=USER,
            password=PASSWORD,
        )
        if self.management_port is not None:
            settings += MANAGEMENT.format(management=self.management_port)
        (self.folder / "rabbitmq.conf").write_text(settings)
        (self.folder / "advanced.config").write_text(ADVANCED)
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management]." if self.management_port else "[].")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return inherited | {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"yeeter-{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }


@contextlib.contextmanager
def running_rabbitmq(management: bool = False) -> Iterator[RabbitMq]:
    """A node that was started; ended, and its data removed, at the end."""
    folder = Path(tempfile.mkdtemp(prefix="yeeter-rabbitmq-"))
    try:
        node = RabbitMq(folder, management)
        try:
            node.start()
            yield node
        finally:
            node.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
