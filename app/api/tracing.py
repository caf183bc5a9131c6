"""The span of a call that starts a run: in its caller's trace, or a new one, which the run then goes on in."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, Header, Request

from app.api.services import Api
from app.domain.trace import Attributes, Span, new_trace, parse_traceparent
from app.ports import Tracing
from app.runs.start import RunRequest
from app.runs.traces import ALWAYS, LABEL


class Call:
    """A request that a client has sent; without tracing nothing is noted of it."""

    def __init__(self, tracing: Tracing | None, route: str, traceparent: str) -> None:
        self._tracing = tracing
        self._route = route
        self._begun = time.time()
        if tracing is not None:
            self._caller = parse_traceparent(traceparent)
            key = uuid4().hex
            context = new_trace(key) if self._caller is None else self._caller.child(key)
            self._context = replace(context, sampled=tracing.samples(self._caller, ALWAYS))

    def labelled(self, request: RunRequest) -> RunRequest:
        """The run is to go on in this call's trace, unless its labels name another one."""
        if self._tracing is None:
            return request
        return replace(request, labels={LABEL: str(self._context)} | request.labels)

    def answered(self, status: int) -> None:
        """The run is there. A call that led to none has no span."""
        if self._tracing is None or not self._context.sampled:
            return
        attributes: Attributes = {
            "http.request.method": "POST",
            "http.route": self._route,
            "url.path": self._route,
            "http.response.status_code": status,
        }
        name = f"POST {self._route}"
        self._tracing.record(Span(name, "server", self._context, self._caller, self._begun, time.time(), attributes))


async def _call(
    request: Request,
    api: Api,
    traceparent: Annotated[
        str, Header(description="W3C trace context; where the server traces, the run goes on in that trace")
    ] = "",
) -> Call:
    return Call(api.bundle.tracing, request.url.path, traceparent)


Traced = Annotated[Call, Depends(_call)]
