"""Webhooks over HTTP, against a real server: what is sent, what counts as an answer, and where nothing is sent to."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from app.adapters.senders.webhook import HttpWebhookSender
from app.bootstrap import bootstrap
from app.domain.errors import Unavailable
from app.domain.webhook import Webhook
from app.settings import Settings
from tests.services.certificates import Authority
from tests.services.http import listening, says
from tests.services.processes import free_port


def post(sender: HttpWebhookSender, url: str, headers: Mapping[str, str] | None = None, timeout: float = 10.0) -> int:
    webhook = Webhook.model_validate({"url": url, "headers": headers or {}, "timeout": timeout})
    return sender.post(webhook, b'{"run_key": "K"}', {"Idempotency-Key": "1-0"})


def test_it_is_asked_by_post_with_both_kinds_of_headers() -> None:
    with listening() as hook:
        assert post(HttpWebhookSender(), hook.url, {"Authorization": "Bearer x"}) == 204
    (asked,) = hook.asked
    assert (asked.path, asked.body) == ("/hooks/yeeter?of=test", {"run_key": "K"})
    wanted = {"Host": f"127.0.0.1:{hook.port}", "Authorization": "Bearer x", "Idempotency-Key": "1-0"}
    assert wanted.items() <= asked.headers.items()


@pytest.mark.parametrize("status", [200, 302, 404, 503])
def test_a_status_is_an_answer_and_no_redirect_is_followed(status: int) -> None:
    with listening() as other, listening(says(status, Location=other.url)) as hook:
        assert post(HttpWebhookSender(), hook.url) == status
    assert (len(hook.asked), other.asked) == (1, [])


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as proxy, listening() as hook:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert post(HttpWebhookSender(), hook.url) == 204
    assert proxy.asked == []


def test_one_that_refuses_the_connection_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="Connection refused"):
        post(HttpWebhookSender(), f"http://127.0.0.1:{free_port()}/")


def test_one_that_speaks_no_http_is_unavailable() -> None:
    with (
        listening(lambda request: request.wfile.write(b"SSH-2.0-hello\r\n")) as hook,
        pytest.raises(Unavailable, match="SSH"),
    ):
        post(HttpWebhookSender(), hook.url)


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"X"])
def test_one_that_takes_its_time_is_cut_off_however_it_goes_on(drip: bytes) -> None:
    stop = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 O" if drip == b"X" else b"")
        while not stop.wait(0.01):
            try:
                request.wfile.write(drip)
            except OSError:
                return

    with listening(answer) as hook:
        try:
            with pytest.raises(Unavailable, match=r"no answer within 0\.2 s"):
                post(HttpWebhookSender(), hook.url, timeout=0.2)
        finally:
            stop.set()


def test_it_connects_to_the_address_that_was_judged() -> None:
    asked: list[tuple[str, int]] = []

    with listening() as hook:

        def judged(host: str, port: int) -> list[Any]:
            asked.append((host, port))
            ports = (free_port(), hook.port)  # nobody is at the first address
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

        assert post(HttpWebhookSender(resolve=judged), "http://ci.example:81/hook") == 204
    assert asked == [("ci.example", 81)]
    assert hook.asked[0].headers["Host"] == "ci.example:81"


def test_nothing_is_sent_to_what_the_settings_do_not_allow(tmp_path: Path) -> None:
    with listening() as hook:
        settings = Settings(home=tmp_path, allowed_destinations=["pacs.example"], rabbitmq_url="amqp://127.0.0.1:1")
        with bootstrap(settings) as bundle, pytest.raises(Unavailable, match="is not an allowed destination"):
            post(HttpWebhookSender(bundle.tls, bundle.resolve), hook.url)
    assert hook.asked == []


# --- TLS ---


def test_https_is_checked_against_the_authorities(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    pair = ours.issue("127.0.0.1")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pair.certificate, pair.key)
    with listening(tls=server) as hook:
        url = hook.url.replace("http:", "https:")
        assert post(HttpWebhookSender(ssl.create_default_context(cafile=ours.file)), url) == 204
        assert hook.asked[0].headers["Host"] == f"127.0.0.1:{hook.port}"
        for tls in (ssl.create_default_context(cafile=others.file), None):
            with pytest.raises(Unavailable, match="certificate verify failed"):
                post(HttpWebhookSender(tls), url)
        other_name = url.replace("127.0.0.1", "127.1")  # means the same, and is in no certificate
        with pytest.raises(Unavailable, match="certificate verify failed"):
            post(HttpWebhookSender(ssl.create_default_context(cafile=ours.file)), other_name)
    assert len(hook.asked) == 1


def test_a_handshake_that_does_not_end_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable, match=r"no answer within 0\.2 s"):
        post(HttpWebhookSender(), f"https://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.2)
