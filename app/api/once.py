"""``Idempotency-Key``: a request that is sent again gets the first answer, and nothing happens twice.

(draft-ietf-httpapi-idempotency-key-header.) A request claims its key; then its answer is kept in the very transaction
that has its effect. A crash in between leaves neither, and the claim runs out by itself; a crash behind it leaves both.
Whoever claimed the key meanwhile makes the slower one's transaction fail. Requests that are refused keep nothing: the
key may be used again once they are mended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from app.api.services import Api
from app.domain.errors import Unavailable
from app.ports import Database, KeptAnswer, RequestKey, UnitOfWork

View = TypeVar("View", bound=BaseModel)

CLAIM_SECONDS = 60.0  # longer than any of these requests takes
_KEPT_HEADERS = ("location",)


class Replayed(Exception):
    """The request was answered before."""

    def __init__(self, answer: KeptAnswer) -> None:
        self.answer = answer


class OneRequest:
    """A request under its key; one without a key is worked on as it comes."""

    def __init__(
        self, database: Database, key: RequestKey | None, fingerprint: str, status: int, response: Response
    ) -> None:
        self._database = database
        self._key = key
        self._fingerprint = fingerprint
        self._status = status
        self._response = response
        self._fence = ""

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Around everything that the request does.

        Raises:
            Replayed: it was answered before.
            Conflict: it is being worked on at this moment.
            InvalidInput: the key was used for another request.
        """
        if self._key is None:
            yield
            return
        with self._database.transaction() as work:
            claim = work.idempotency.claim(self._key, self._fingerprint, CLAIM_SECONDS)
        if isinstance(claim, KeptAnswer):
            raise Replayed(claim)
        self._fence = claim
        try:
            yield
        except BaseException:
            with suppress(Unavailable), self._database.transaction() as work:  # the claim runs out by itself, too
                work.idempotency.release(self._key, self._fence)
            raise

    def keep(self, work: UnitOfWork, view: View) -> View:
        """Keep the answer, in the transaction of its effect. Raises Conflict when the key is no longer ours."""
        if self._key is not None:
            headers = {name: self._response.headers[name] for name in _KEPT_HEADERS if name in self._response.headers}
            work.idempotency.keep(
                self._key, self._fence, KeptAnswer(self._status, headers, view.model_dump(mode="json"))
            )
        return view

    def keep_done(self, view: View) -> View:
        """Keep the answer to a request whose effect is written, and would be no other if it came again."""
        if self._key is not None:
            with self._database.transaction() as work:
                self.keep(work, view)
        return view


async def _one_request(
    request: Request,
    response: Response,
    api: Api,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="any text that is new for every request; the same one for 24 hours means: the same request",
        ),
    ] = None,
) -> OneRequest:
    key = None if idempotency_key is None else RequestKey(request.state.caller.name, idempotency_key)
    content = (request.method, request.url.path, request.url.query, request.headers.get("content-type", ""))
    fingerprint = hashlib.sha256("\n".join(content).encode() + b"\n" + await request.body()).hexdigest()
    status = request.scope["route"].status_code or 200
    return OneRequest(api.bundle.database, key, fingerprint, status, response)


Once = Annotated[OneRequest, Depends(_one_request)]


def answer_replays(app: FastAPI) -> None:
    """Give requests that were answered before the first answer again."""

    @app.exception_handler(Replayed)
    async def replay(request: Request, error: Replayed) -> JSONResponse:
        answer = error.answer
        return JSONResponse(answer.body, answer.status, answer.headers | {"Idempotency-Replayed": "true"})
