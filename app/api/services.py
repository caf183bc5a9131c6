"""What the routes work with, as one dependency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from app.api.figures import LiveFigures
from app.api.metrics import ApiMetrics
from app.api.producers import Producers
from app.bootstrap import Bundle
from app.domain.allowlist import Allowlist


@dataclass(frozen=True, slots=True)
class Services:
    bundle: Bundle
    producers: Producers
    figures: LiveFigures
    allowlist: Allowlist
    metrics: ApiMetrics
    painters: CapacityLimiter  # threads that make images again


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Api = Annotated[Services, Depends(_services)]
