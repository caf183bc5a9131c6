"""Requests that were sent under an ``Idempotency-Key``, and their answers."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, null, select, update
from sqlalchemy.exc import IntegrityError

from app.adapters.database.clock import read_now
from app.adapters.database.tables import idempotency_keys
from app.domain.errors import Conflict, InvalidInput, Problem
from app.ports import KeptAnswer, RequestKey

KEPT = timedelta(hours=24)


class SqlIdempotencyKeys:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, key: RequestKey, fingerprint: str, seconds: float) -> str | KeptAnswer:
        now = read_now(self._connection)
        self._connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEPT))
        fence = str(uuid.uuid4())
        claim = {"fence": fence, "claimed_until": now + timedelta(seconds=seconds)}
        try:
            with self._connection.begin_nested():
                self._connection.execute(
                    insert(idempotency_keys),
                    {"caller": key.caller, "key": key.key, "fingerprint": fingerprint, **claim},
                )
        except IntegrityError:
            return self._claim_again(key, fingerprint, claim) or fence
        return fence

    def keep(self, key: RequestKey, fence: str, answer: KeptAnswer) -> None:
        kept = self._connection.execute(
            update(idempotency_keys).where(_is(key), idempotency_keys.c.fence == fence).values(answer=asdict(answer))
        )
        if kept.rowcount != 1:
            raise Conflict("the request took so long that another one was taken up under its Idempotency-Key")

    def release(self, key: RequestKey, fence: str) -> None:
        self._connection.execute(
            delete(idempotency_keys).where(
                _is(key), idempotency_keys.c.fence == fence, idempotency_keys.c.answer.is_(null())
            )
        )

    def _claim_again(self, key: RequestKey, fingerprint: str, claim: dict[str, Any]) -> KeptAnswer | None:
        """Take over what nobody works on any more, unless it has its answer."""
        row = self._connection.execute(select(idempotency_keys).where(_is(key)).with_for_update()).one_or_none()
        now = read_now(self._connection)
        if row is None:  # given up since
            raise _in_work()
        if row.fingerprint != fingerprint:
            problem = "it was used within 24 hours, for another request"
            raise InvalidInput(Problem("Idempotency-Key", problem, "give each request a new one"))
        if row.answer is not None:
            return KeptAnswer(**row.answer)
        if row.claimed_until > now:
            raise _in_work()
        self._connection.execute(update(idempotency_keys).where(_is(key)).values(claim))
        return None


def _is(key: RequestKey) -> Any:
    return and_(idempotency_keys.c.caller == key.caller, idempotency_keys.c.key == key.key)


def _in_work() -> Conflict:
    return Conflict("a request with this Idempotency-Key is being worked on; wait a moment and ask again")
