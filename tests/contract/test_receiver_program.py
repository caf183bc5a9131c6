"""``python -m app.receivers``: the ready line, the flags, and every way to end."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.contract.mllp_orders import ledger_of, order, outcomes, send, sender_to
from tests.services.processes import free_port

PATIENCE = 60  # seconds that a receiver may take to begin or end on a busy machine


class Receiver:
    """A receiver as a child process whose stdin we hold."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "app.receivers", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=PATIENCE)[1]
        announced: dict[str, Any] = json.loads(line)
        return announced

    def ended(self) -> tuple[int, str, str]:
        """Exit code and the rest of stdout and stderr, with stdin at its end."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors


@contextmanager
def receiver(*arguments: str | Path) -> Iterator[Receiver]:
    started = Receiver(*arguments)
    with started.process as process:
        try:
            yield started
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["mllp", "dicom"])
def test_the_first_line_says_where_it_listens_and_the_end_of_stdin_ends_it(kind: str) -> None:
    with receiver(kind, "--port", "0", "--until-eof") as running:
        announced = running.ready()
        assert (announced["receiver"], announced["host"]) == (kind, "127.0.0.1")
        assert announced["port"] > 0
        code, _, _ = running.ended()
        assert code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("arguments", [[], ["--until-eof"]], ids=["alone", "until EOF"])
def test_a_signal_ends_it_cleanly_even_with_a_sender_connected(number: signal.Signals, arguments: list[str]) -> None:
    with receiver("mllp", "--port", "0", *arguments) as running:
        with sender_to(running.ready()["port"]) as sender:
            sender.submit(order(1))
            outcomes(sender, 1)
            running.process.send_signal(number)
            assert running.process.wait(timeout=PATIENCE) == 0
        assert running.ended() == (0, "", "")


def test_without_the_flag_it_outlives_its_stdin() -> None:
    with receiver("mllp", "--port", "0") as running:
        port = running.ready()["port"]
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert send(port, [order(1)]) == {1: "accepted"}
        running.process.terminate()
        assert running.process.wait(timeout=PATIENCE) == 0


def test_the_ledger_file_gets_a_line_for_each_order_before_it_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    with receiver("mllp", "--port", "0", "--until-eof", "--ledger", file, "--drop", "1", "--duplicate", "1") as running:
        port = running.ready()["port"]
        send(port, [order(number, lane=f"P{number}") for number in range(6)])
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        kept = [(line["control_id"], line["copies"]) for line in lines if line["copies"]]
        assert kept == [(received.control_id, received.copies) for received in ledger_of(port)]
    assert [(line["patient_id"], line.get("lie")) for line in lines] == [
        ("P0", None),
        ("P1", "drop"),
        ("P2", None),
        ("P3", None),
        ("P4", "duplicate"),
        ("P5", None),
    ]
    assert lines[4] == {
        "control_id": "7K3QX0AB0000401",
        "accession": "7K3QX0AB00004",
        "patient_id": "P4",
        "patient_name": "Doe^Jane",
        "copies": 2,
        "message_time": "20260105080000",
        "lie": "duplicate",
    }


def test_show_prints_a_segment_a_line() -> None:
    with receiver("mllp", "--port", "0", "--until-eof", "--show") as running:
        send(running.ready()["port"], [order(1), order(2)])
        _, output, _ = running.ended()
    shown = [message.split("\n") for message in output.rstrip("\n").split("\n\n")]
    assert [[segment[:3] for segment in message] for message in shown] == [["MSH", "PID", "ORC", "OBR"]] * 2


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    key.write_bytes(certificate.private_key_pem.bytes())
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    arguments = ("mllp", "--port", "0", "--until-eof", "--tls-cert-file", chain, "--tls-key-file", key)
    with receiver(*arguments) as running, sender_to(running.ready()["port"], context) as sender:
        sender.submit(order(1))
        assert outcomes(sender, 1)[0].verdict == "accepted"


def test_an_address_in_use_is_one_line_and_exit_code_1() -> None:
    port = free_port()
    with receiver("mllp", "--port", str(port)) as first:
        first.ready()
        with receiver("mllp", "--port", str(port)) as second:
            code, _, errors = second.ended()
    assert code == 1
    assert errors.startswith(f"can't listen on 127.0.0.1:{port}: ")
    assert len(errors.splitlines()) == 1


def test_a_wrong_flag_is_exit_code_2() -> None:
    with receiver("mllp", "--no-such-flag") as running:
        code, _, errors = running.ended()
    assert code == 2
    assert "--no-such-flag" in errors
