"""Worker pools and leadership: one suite for Kubernetes and for this machine, and what each has of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.adapters.worker_pool.kubernetes import Cluster as Connected
from app.adapters.worker_pool.kubernetes import KubernetesPools, LeaseLeadership
from app.adapters.worker_pool.local import FileLeadership, LocalPools
from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.scaling import PoolPolicy
from app.ports import WorkerPools
from tests.services.kubernetes import NAMESPACE, Asked, Cluster, rules_of
from tests.services.processes import wait_until

POLICY = PoolPolicy(name="default", deployment="yeeter-worker", queues=("a", "b"))
LEASE = "yeeter-autoscaler"
RULES = rules_of("autoscaler.yaml")
WORKER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster({"autoscaler": RULES, "stranger": []}) as cluster:
        cluster.add_deployment("yeeter-worker")
        cluster.add_lease(LEASE)
        yield cluster


@pytest.fixture
def connected(cluster: Cluster) -> Iterator[Connected]:
    with cluster.client("autoscaler") as client:
        yield Connected(client, NAMESPACE)


@dataclass
class Started:
    """Real processes that stand for workers."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    queues: list[Sequence[str]] = field(default_factory=list)

    def __call__(self, queues: Sequence[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        self.processes.append(process)
        self.queues.append(queues)
        return process

    @property
    def running(self) -> int:
        return sum(process.poll() is None for process in self.processes)


@pytest.fixture
def started() -> Iterator[Started]:
    started = Started()
    yield started
    for process in started.processes:
        process.kill()
        process.communicate()


@pytest.fixture(params=["kubernetes", "local"])
def pools(request: pytest.FixtureRequest) -> WorkerPools:
    if request.param == "local":
        pools = LocalPools(request.getfixturevalue("started"), grace=5.0)
        pools.resize(POLICY, pools.look(POLICY), 1)
        return pools
    return KubernetesPools(request.getfixturevalue("connected"))


# --- both -------------------------------------------------------------------------------------------------------------


def test_a_pool_is_resized_and_looks_so(pools: WorkerPools) -> None:
    seen = pools.look(POLICY)
    assert seen.size.replicas == 1
    pools.resize(POLICY, seen, 3)
    again = pools.look(POLICY)
    assert again.size.replicas == 3
    assert (again.identity, again.version != seen.version) == (seen.identity, True)
    pools.resize(POLICY, again, 0)
    assert pools.look(POLICY).size.replicas == 0


def test_what_was_changed_since_it_was_seen_is_left_alone(pools: WorkerPools) -> None:
    seen = pools.look(POLICY)
    pools.resize(POLICY, seen, 4)
    with pytest.raises(Conflict):
        pools.resize(POLICY, seen, 2)
    assert pools.look(POLICY).size.replicas == 4


# --- this machine -----------------------------------------------------------------------------------------------------


def test_local_workers_are_started_told_to_stop_and_replaced(started: Started) -> None:
    pools = LocalPools(started, grace=5.0)
    pools.resize(POLICY, pools.look(POLICY), 3)
    assert started.running == 3 and set(started.queues) == {("a", "b")}
    started.processes[0].kill()
    started.processes[0].wait()
    assert pools.look(POLICY).size.present == 3
    assert len(started.processes) == 4
    pools.resize(POLICY, pools.look(POLICY), 1)
    wait_until(lambda: started.running == 1, 30, "two of them end")
    assert [process.returncode for process in started.processes if process.poll() is not None] != [None] * 3
    pools.close()
    assert started.running == 0
    assert {process.returncode for process in started.processes[1:]} == {0}


def test_one_process_at_a_time_leads_on_a_machine(tmp_path: Path) -> None:
    first, second = FileLeadership(tmp_path / "home" / "lock"), FileLeadership(tmp_path / "home" / "lock")
    assert first.hold() and first.hold()
    assert not second.hold()
    first.release()
    assert second.hold()
    second.release()
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="YEETER_HOME"):
        FileLeadership(tmp_path / "file" / "lock").hold()


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def leadership(cluster: Cluster, connected: Connected, name: str, clock: Callable[[], float]) -> LeaseLeadership:
    return LeaseLeadership(connected, LEASE, name, 15.0, clock)


def test_a_lease_is_held_kept_released_and_taken_over_when_it_has_run_out(
    cluster: Cluster, connected: Connected
) -> None:
    now = [1000.0]
    first = leadership(cluster, connected, "one", lambda: now[0])
    second = leadership(cluster, connected, "two", lambda: now[0] - 5000)  # its clock is another one
    assert first.hold()
    assert not second.hold()
    now[0] += 14
    assert first.hold()
    now[0] += 14
    assert not second.hold()  # it was renewed within its duration
    assert not second.hold()
    now[0] += 15
    assert second.hold()  # the first one is gone: nothing was heard of it
    assert not first.hold()
    assert cluster.leases[LEASE]["spec"]["holderIdentity"] == "two"
    assert cluster.leases[LEASE]["spec"]["leaseTransitions"] == 2
    second.release()
    assert first.hold()  # at once
    second.release()  # not its own any more: nothing happens
    assert first.hold()


def test_of_two_that_want_the_lease_at_once_one_gets_it(cluster: Cluster, connected: Connected) -> None:
    class Racing(Connected):
        """Another one takes the Lease between the look and the write."""

        def ask(self, call: Any, name: str, verb: str, *arguments: Any) -> Any:
            answer = super().ask(call, name, verb, *arguments)
            if verb == "get leases":
                assert leadership(cluster, connected, "other", lambda: 0.0).hold()
            return answer

    with cluster.client("autoscaler") as client:
        assert not leadership(cluster, Racing(client, NAMESPACE), "late", lambda: 0.0).hold()
    assert cluster.leases[LEASE]["spec"]["holderIdentity"] == "other"


def test_what_is_forbidden_is_said_with_the_cure(cluster: Cluster) -> None:
    with cluster.client("stranger") as client:
        pools = KubernetesPools(Connected(client, NAMESPACE))
        with pytest.raises(Unavailable, match=r"forbids to get deployments/scale yeeter-worker.*needs a Role.*k8s/"):
            pools.look(POLICY)
        with pytest.raises(Unavailable, match="forbids to get leases"):
            LeaseLeadership(Connected(client, NAMESPACE), LEASE, "x", 15.0).hold()
    assert set(cluster.asked) == {
        Asked("stranger", "get", "deployments/scale", "yeeter-worker", 403),
        Asked("stranger", "get", "leases", LEASE, 403),
    }


def test_one_that_is_not_there_or_does_not_work_is_said_to_be_that(cluster: Cluster, connected: Connected) -> None:
    cluster.deployments.clear()
    with pytest.raises(NotFound, match="get deployments/scale yeeter-worker"):
        KubernetesPools(connected).look(POLICY)
    cluster.failing = True
    with pytest.raises(Unavailable, match="500"):
        KubernetesPools(connected).look(POLICY)


def test_a_cluster_that_can_not_be_reached_is_said_to_be_that(connected: Connected, cluster: Cluster) -> None:
    cluster.stop()
    with pytest.raises(Unavailable, match="can't be reached"):
        KubernetesPools(connected).look(POLICY)
