"""Leases of claims that somebody is at: prolonged while they are his, and not a moment longer."""

from __future__ import annotations

from tests.contract.database_fixtures import EXPIRED, Play


def test_a_renewed_claim_is_not_lost(play: Play) -> None:
    play.acknowledge(0, 1)
    first, second = play.claim(0, 1, seconds=EXPIRED)
    claims = [(play.request(0), first)]
    assert play.do(lambda work: work.jobs.renew(claims, 60.0)) == [True]
    references, _ = play.do(lambda work: work.jobs.lost(play.run.id, 0.0, -1, 10))
    assert [reference.order_number for reference in references] == [1]
    both = [(play.request(1), second), (play.request(0), first)]
    assert play.do(lambda work: work.jobs.renew(both, 60.0)) == [False, True]


def test_what_another_has_or_has_ended_is_not_renewed(play: Play) -> None:
    play.acknowledge(0, 1)
    taken, ended = play.claim(0, 1)
    [again] = play.claim(play.request(0, redelivered=True))
    play.finish(play.finished(1, ended))
    claims = [(play.request(0), taken), (play.request(0), again), (play.request(1), ended)]
    assert play.do(lambda work: work.jobs.renew(claims, 60.0)) == [False, True, False]
    assert play.do(lambda work: work.jobs.renew([], 60.0)) == []
