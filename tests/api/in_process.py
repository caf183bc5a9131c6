"""The application in the test's own process: quick to make, with whatever settings, and nothing is started."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from app.adapters.broker.in_process import InProcessBroker
from app.api.application import create_app
from app.api.producers import Producers
from app.api.roles import Role
from app.api.tokens import hash_of, new_token
from app.bootstrap import Bundle, bootstrap, prepare_database
from app.settings import load_settings


class IdleProducers(Producers):
    """Takes note of the runs that it is to run, and runs none."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle.settings, bundle.database)
        self.started: list[str] = []

    def start(self, run_id: str) -> None:
        self.started.append(run_id)


@dataclass(frozen=True)
class InProcess:
    """An application to ask, one request after the other."""

    app: ASGIApp
    bundle: Bundle
    producers: IdleProducers

    def ask(self, method: str, path: str, token: str | None = None, **request: Any) -> httpx.Response:
        return asyncio.run(self.asking(method, path, token, **request))

    async def asking(self, method: str, path: str, token: str | None = None, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            return await client.request(method, path, **request)


@contextmanager
def in_process(home: Path, **settings: Any) -> Iterator[InProcess]:
    """An embedded application with these settings."""
    with bootstrap(load_settings(home=home, **settings)) as bundle:
        prepare_database(bundle)
        producers = IdleProducers(bundle)
        yield InProcess(create_app(bundle, producers), bundle, producers)


@contextmanager
def over_a_broker(home: Path, **settings: Any) -> Iterator[InProcess]:
    """Over a broker that happens to be in this process, but is not the producers' own."""
    with bootstrap(load_settings(home=home, rabbitmq_url="amqp://127.0.0.1:1/", **settings)) as made:
        made.broker.close()
        bundle = replace(made, broker=InProcessBroker())
        prepare_database(bundle)
        producers = IdleProducers(bundle)
        yield InProcess(create_app(bundle, producers), bundle, producers)


def tokens_file(folder: Path) -> tuple[Path, dict[Role, str]]:
    """A tokens file with a token of each role, which are named after their roles."""
    tokens = {role: new_token() for role in Role}
    lines = (f"- {{name: {role}, role: {role}, hash: '{hash_of(token)}'}}\n" for role, token in tokens.items())
    path = folder / "tokens.yaml"
    path.write_text("".join(lines), encoding="utf-8")
    return path, tokens
