"""Looking after pools: written down before it is done, people's numbers, and whatever can't be asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from app.adapters.database import SqlDatabase
from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.scaling import PoolPolicy, PoolSize, ScalingDecision, ScalingKind
from app.ports import QueueLoad, ScalingRecord, SeenPool, WorkerBeat
from app.runs.tending.scaling import BY_HAND, Autoscaler, PoolKeeper, ScalingParts

POLICY = PoolPolicy(name="default", max=10, jobs_per_second=1.0, target_seconds=10.0, scale_in_after=0.0)


@dataclass
class FakeMeter:
    loads: dict[str, QueueLoad] = field(default_factory=lambda: {"orders": QueueLoad(0, 0)})
    error: Exception | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def measure(self, queues: Collection[str]) -> Mapping[str, QueueLoad]:
        self.asked.append(tuple(queues))
        if self.error is not None:
            raise self.error
        return self.loads

    def close(self) -> None: ...


@dataclass
class FakePools:
    replicas: int = 1
    identity: str = "first"
    version: int = 0
    error: Exception | None = None
    resized: list[int] = field(default_factory=list)

    def look(self, policy: PoolPolicy) -> SeenPool:
        if isinstance(self.error, NotFound):
            raise self.error
        return SeenPool(PoolSize(self.replicas, self.replicas), self.identity, str(self.version))

    def resize(self, policy: PoolPolicy, seen: SeenPool, replicas: int) -> None:
        if self.error is not None:
            raise self.error
        assert seen.version == str(self.version)
        self.replicas = replicas
        self.version += 1
        self.resized.append(replicas)

    def close(self) -> None: ...


@dataclass
class FakeLeadership:
    leads: bool = True
    error: Exception | None = None
    released: int = 0

    def hold(self) -> bool:
        if self.error is not None:
            raise self.error
        return self.leads

    def release(self) -> None:
        self.released += 1


@dataclass
class Site:
    database: SqlDatabase
    meter: FakeMeter = field(default_factory=FakeMeter)
    pools: FakePools = field(default_factory=FakePools)
    leadership: FakeLeadership = field(default_factory=FakeLeadership)
    pin_seconds: float = 600.0

    def keeper(self, policy: PoolPolicy = POLICY) -> PoolKeeper:
        return PoolKeeper(ScalingParts(self.database, self.meter, self.pools, "orders", self.pin_seconds), policy)

    def attend(self) -> ScalingDecision:
        return self.keeper().attend()

    @property
    def records(self) -> list[ScalingRecord]:
        return self.database.queries.scaling_decisions(None, after=None, limit=100).rows[::-1]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    database = SqlDatabase(f"sqlite:///{tmp_path / 'yeeter.db'}")
    database.upgrade()
    yield Site(database)
    database.close()


def test_what_the_queues_hold_decides_and_each_look_is_written_down(site: Site) -> None:
    site.meter.loads = {"orders": QueueLoad(35, 5)}
    decision = site.attend()
    assert (decision.kind, decision.after) == (ScalingKind.OUT, 4)
    assert site.pools.replicas == 4
    assert site.meter.asked == [("orders",)]  # which is what `default` stands for
    site.meter.loads = {}
    assert site.attend().kind is ScalingKind.IN
    assert [(record.decision.after, record.applied) for record in site.records] == [(4, True), (1, True)]


def test_the_decision_is_written_before_it_is_carried_out(site: Site) -> None:
    """An autoscaler that dies in between has decided what is then found, whether it was done or not."""
    site.meter.loads = {"orders": QueueLoad(40, 0)}
    site.pools.error = RuntimeError("the end of the process")
    with pytest.raises(RuntimeError):
        site.attend()
    [record] = site.records
    assert (record.decision.after, record.applied) == (4, False)
    site.pools.error = None
    for found in (1, 4):
        site.pools.replicas = found
        assert site.attend().kind is not ScalingKind.PINNED


def test_what_somebody_else_has_changed_meanwhile_is_looked_at_again(site: Site) -> None:
    site.meter.loads = {"orders": QueueLoad(40, 0)}
    site.pools.error = Conflict("changed meanwhile")
    decision = site.attend()
    assert (decision.kind, decision.after, decision.reason) == (ScalingKind.HELD, 1, "changed meanwhile")
    assert not site.records[0].applied
    site.pools.error = None
    assert site.attend().after == 4


def test_what_can_not_be_carried_out_is_said_and_tried_again(site: Site) -> None:
    site.meter.loads = {"orders": QueueLoad(40, 0)}
    site.pools.error = Unavailable("forbidden")
    assert Autoscaler([site.keeper()], site.leadership).tick() == ([], ["pool default: forbidden"])
    assert not site.records[0].applied
    site.pools.error = None
    assert site.attend().after == 4
    assert site.pools.resized == [4]


def test_a_number_that_nobody_has_decided_is_a_persons(site: Site) -> None:
    site.attend()
    site.pools.replicas = 6
    decision = site.attend()
    assert (decision.kind, decision.after) == (ScalingKind.PINNED, 6)
    with site.database.transaction() as work:
        pin = work.pins.get("default")
    assert pin is not None and (pin.replicas, pin.by) == (6, BY_HAND)
    site.meter.loads = {"orders": QueueLoad(1000, 0)}
    assert site.attend().after == 6
    site.pools.replicas = 7  # the person thinks again
    assert site.attend().after == 7
    assert site.pools.resized == []


def test_what_is_found_at_first_is_nobodys_number(site: Site) -> None:
    site.pools.replicas = 3
    assert site.attend().kind is ScalingKind.IN


def test_one_that_was_made_anew_is_looked_at_anew(site: Site) -> None:
    site.meter.loads = {"orders": QueueLoad(40, 0)}
    site.attend()
    site.pools.identity, site.pools.replicas = "second", 1
    assert site.attend().kind is ScalingKind.OUT


def test_a_persons_number_is_carried_out_and_expires(site: Site) -> None:
    site.attend()
    with site.database.transaction() as work:
        work.pins.set("default", 5, 600.0, "ada")
    assert site.attend().after == 5 == site.pools.replicas
    with site.database.transaction() as work:
        work.pins.set("default", 5, 0.0, "ada")
    assert site.attend().kind is ScalingKind.IN
    with site.database.transaction() as work:
        assert work.pins.get("default") is None


def test_a_number_that_is_set_while_we_look_stays_its_authors(site: Site) -> None:
    site.attend()

    class Late(FakeMeter):
        """While the queues are measured, somebody scales over the API, which acts at once."""

        def measure(self, queues: Collection[str]) -> Mapping[str, QueueLoad]:
            with site.database.transaction() as work:
                work.pins.set("default", 6, 60.0, "ada")
            site.keeper().attend(measure=False)
            return {"orders": QueueLoad(0, 0)}

    parts = ScalingParts(site.database, Late(), site.pools, "orders", 600.0)
    with pytest.raises(AssertionError):  # the version has changed, as a cluster says by a conflict
        PoolKeeper(parts, POLICY).attend()
    with site.database.transaction() as work:
        pin = work.pins.get("default")
    assert pin is not None and (pin.replicas, pin.by) == (6, "ada")


def test_a_persons_number_needs_no_measurement(site: Site) -> None:
    with site.database.transaction() as work:
        work.pins.set("default", 5, 600.0, "ada")
    assert site.keeper().attend(measure=False).after == 5
    assert site.meter.asked == []


def test_a_broker_that_can_not_be_asked_is_no_empty_queue(site: Site) -> None:
    site.meter.loads = {"orders": QueueLoad(40, 0)}
    site.attend()
    site.meter.error = Unavailable("the broker is away")
    for _ in range(3):
        decision = site.attend()
        assert (decision.kind, decision.after) == (ScalingKind.HELD, 4)
    assert site.pools.replicas == 4


def test_the_workers_of_a_pool_count_those_of_others_and_those_that_leave_do_not(site: Site) -> None:
    beat = WorkerBeat("w", ("orders",), 4, 1, 10, 3.0, 0.5)
    with site.database.transaction() as work:
        work.workers.beat(beat)
        work.workers.beat(replace(beat, name="leaving", draining=True))
        work.workers.beat(replace(beat, name="another's", queues=("send_dicom",)))
    load = site.attend().load
    assert load is not None
    assert (load.workers, load.jobs_per_second, load.cpu) == (1, 3.0, 0.5)


def test_only_the_one_that_leads_acts(site: Site) -> None:
    autoscaler = Autoscaler([site.keeper()], site.leadership)
    site.leadership.leads = False
    assert autoscaler.tick() == ([], []) and not autoscaler.leads
    autoscaler.stop()
    assert site.leadership.released == 0
    site.leadership.leads = True
    decisions, errors = autoscaler.tick()
    assert len(decisions) == 1 and errors == []
    autoscaler.stop()
    assert site.leadership.released == 1


def test_one_pool_that_is_not_there_does_not_hold_up_another(site: Site) -> None:
    broken = Site(site.database, pools=FakePools(error=NotFound("no such Deployment")))
    autoscaler = Autoscaler([broken.keeper(), site.keeper()], site.leadership)
    decisions, errors = autoscaler.tick()
    assert [decision.pool for decision in decisions] == ["default"]
    assert errors == ["pool default: no such Deployment"]


def test_without_word_of_the_leadership_nothing_is_done(site: Site) -> None:
    site.leadership.error = Unavailable("no answer")
    assert Autoscaler([site.keeper()], site.leadership).tick() == ([], ["leadership: no answer"])
    assert site.records == []
