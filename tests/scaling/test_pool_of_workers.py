"""A Deployment of real worker processes, scaled by real autoscaler processes over a Kubernetes API of the tests."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from app.domain.scaling import ScalingKind
from tests.contract.test_worker_pools import LEASE, RULES
from tests.scaling.site import PATIENCE, Site, Workload, rows_of
from tests.services.kubernetes import NAMESPACE, Cluster, rules_of
from tests.services.processes import free_port, wait_until

BURST = 5000
MOST = 4
POOL = {"name": "default", "min": 1, "max": MOST, "target_seconds": 5, "scale_in_after": 4, "jobs_per_second": 50}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster({"autoscaler": RULES, "api": rules_of("api.yaml")}) as cluster:
        cluster.add_deployment("yeeter-worker")
        cluster.add_lease(LEASE)
        yield cluster


def autoscaler_settings(
    cluster: Cluster, folder: Path, name: str, port: int, account: str = "autoscaler"
) -> dict[str, str]:
    """Of one replica: its pools, and a kubeconfig with its service account's token."""
    pools, kubeconfig = folder / "pools.yaml", folder / "kubeconfig"
    pools.write_text(yaml.safe_dump([POOL]))
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "test", "cluster": {"server": cluster.url}}],
                "users": [{"name": account, "user": {"token": account}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": account}}],
                "current-context": "test",
            }
        )
    )
    return {
        "KUBECONFIG": str(kubeconfig),
        "YEETER_AUTOSCALER_PLATFORM": "kubernetes",
        "YEETER_AUTOSCALER_NAMESPACE": NAMESPACE,
        "YEETER_AUTOSCALER_POOLS_FILE": str(pools),
        "YEETER_AUTOSCALER_INTERVAL": "1",
        "YEETER_AUTOSCALER_IDENTITY": name,
        "YEETER_AUTOSCALER_PORT": str(port),
    }


def test_a_burst_scales_out_and_in_again_and_every_job_is_done_once(
    site: Site, cluster: Cluster, tmp_path: Path
) -> None:
    run = site.start_run(BURST, seconds=0.02)
    site.wait_for_state(run, "WAITING_ON_WORKERS")
    workload = Workload(site, cluster, "yeeter-worker")
    ports = [free_port(), free_port()]
    autoscalers = [
        site.start(f"autoscaler-{n}", "app.autoscaler", **autoscaler_settings(cluster, tmp_path, f"replica-{n}", port))
        for n, port in enumerate(ports)
    ]
    site.wait_for_state(run, "COMPLETED")
    deployment = cluster.deployments["yeeter-worker"]
    wait_until(lambda: deployment.replicas == 1, PATIENCE, "the pool is small again")

    assert set(site.times_done().values()) == {1} and len(site.times_done()) == BURST
    sizes = [1, *(replicas for _, replicas in cluster.changes)]
    assert max(sizes) == MOST
    ways = [now > before for before, now in pairwise(sizes)]
    assert ways == sorted(ways, reverse=True), f"it oscillates: {sizes}"
    decisions = site.database.queries.scaling_decisions(None, after=None, limit=500).rows
    assert rows_of(decisions) == list(pairwise(sizes))
    assert {asked.status for asked in cluster.asked} <= {200, 409}
    assert cluster.leases[LEASE]["spec"]["leaseTransitions"] == 1  # one of the two led all the time

    figures = [urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode() for port in ports]
    assert sorted(f"yeeter_autoscaler_leads {n}" in page for n in ("1.0",) for page in figures) == [False, True]
    leader = next(page for page in figures if "yeeter_autoscaler_leads 1.0" in page)
    assert 'yeeter_autoscaler_replicas{pool="default"} 1.0' in leader
    for child in autoscalers:
        child.signal(signal.SIGTERM)
    assert [child.wait(30) for child in autoscalers] == [0, 0]
    assert cluster.leases[LEASE]["spec"]["holderIdentity"] == ""
    assert set(workload.stop()) == {0}


def test_a_number_that_somebody_sets_by_hand_is_kept_shown_and_expires(
    site: Site, cluster: Cluster, tmp_path: Path
) -> None:
    settings = autoscaler_settings(cluster, tmp_path, "one", free_port()) | {"YEETER_AUTOSCALER_PIN_SECONDS": "6"}
    site.start("autoscaler", "app.autoscaler", **settings)

    def kinds() -> list[ScalingKind]:
        rows = site.database.queries.scaling_decisions(None, after=None, limit=500).rows
        return [row.decision.kind for row in reversed(rows)]

    wait_until(lambda: bool(kinds()), PATIENCE, "a first look")
    cluster.scale_by_hand("yeeter-worker", 3)
    wait_until(lambda: ScalingKind.PINNED in kinds(), PATIENCE, "it is pinned")
    with site.database.transaction() as work:
        pin = work.pins.get("default")
    assert pin is not None and (pin.replicas, pin.by) == (3, "somebody who scaled it by hand")
    wait_until(lambda: kinds()[-1] is not ScalingKind.PINNED, PATIENCE, "it expires")
    wait_until(lambda: cluster.deployments["yeeter-worker"].replicas == 1, PATIENCE, "and the load decides again")
    assert cluster.changes == [("yeeter-worker", 3), ("yeeter-worker", 1)]


def test_over_the_api_a_number_takes_effect_at_once(site: Site, cluster: Cluster, tmp_path: Path) -> None:
    """Without an autoscaler, too: the API's own account may do it."""
    settings = autoscaler_settings(cluster, tmp_path, "api", free_port(), account="api")
    port = free_port()
    site.start("api", "app", "serve", "--port", str(port), **settings)
    wait_until(lambda: _answers(port), PATIENCE, "the API serves")
    body = json.dumps({"replicas": 3}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/admin/workers/scale", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        pool = json.load(answer)
    assert (pool["pin"]["replicas"], pool["decision"]["after"], pool["decision"]["applied"]) == (3, 3, True)
    assert cluster.changes == [("yeeter-worker", 3)]


def _answers(port: int) -> bool:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).status == 200
    except OSError:
        return False


def test_what_it_may_not_do_is_told_and_nothing_is_changed(site: Site, cluster: Cluster, tmp_path: Path) -> None:
    settings = autoscaler_settings(cluster, tmp_path, "one", free_port())
    cluster.deny("autoscaler", "patch")
    with site.database.transaction() as work:
        work.pins.set("default", 3, 600, "ada")
    once = site.start("autoscaler", "app.autoscaler", "--once", **settings)
    assert once.wait(60) == 1
    assert "forbids to patch deployments/scale yeeter-worker" in once.output
    [row] = site.database.queries.scaling_decisions(None, after=None, limit=500).rows
    assert (row.applied, row.decision.after) == (False, 3)
    assert cluster.changes == []
    cluster.allow("autoscaler", RULES)
    assert site.start("autoscaler", "app.autoscaler", "--once", **settings).wait(60) == 0
    assert cluster.changes == [("yeeter-worker", 3)]


@pytest.mark.parametrize("how", ["roll_out", "drain_node"])
def test_workers_are_replaced_under_load_and_no_job_is_lost_or_done_twice(
    site: Site, cluster: Cluster, how: str
) -> None:
    cluster.deployments["yeeter-worker"].replicas = 3
    run = site.start_run(1500, seconds=0.05)
    workload = Workload(site, cluster, "yeeter-worker")
    for done in (100, 600):
        wait_until(lambda done=done: site.done.exists() and sum(site.times_done().values()) > done, PATIENCE, "jobs")  # type: ignore[misc]
        getattr(workload, how)()
    site.wait_for_state(run, "COMPLETED")
    assert set(site.times_done().values()) == {1} and len(site.times_done()) == 1500
    assert set(workload.stop()) == {0}


def test_the_local_platform_scales_processes_of_this_machine(site: Site, tmp_path: Path) -> None:
    pools = tmp_path / "pools.yaml"
    pools.write_text(yaml.safe_dump([POOL | {"max": 2}]))
    run = site.start_run(600, seconds=0.02)
    settings = {"YEETER_AUTOSCALER_POOLS_FILE": str(pools), "YEETER_AUTOSCALER_INTERVAL": "1"}
    autoscaler = site.start("autoscaler", "app.autoscaler", **settings)
    site.wait_for_state(run, "COMPLETED")
    assert set(site.times_done().values()) == {1} and len(site.times_done()) == 600
    rows = site.database.queries.scaling_decisions(None, after=None, limit=500).rows
    assert rows_of(rows)[0][0] == 0
    refused = site.start("autoscaler-once", "app.autoscaler", "--once", **settings)
    assert refused.wait(60) == 2 and "--once: workers of this machine end with their autoscaler" in refused.output
    autoscaler.signal(signal.SIGTERM)
    assert autoscaler.wait(60) == 0
    assert nobody_works(site)  # they were told to go, and said so


def test_workers_of_this_machine_do_not_outlive_an_autoscaler_that_is_killed(site: Site, tmp_path: Path) -> None:
    pools = tmp_path / "pools.yaml"
    pools.write_text(yaml.safe_dump([POOL | {"min": 2, "max": 2}]))
    settings = {"YEETER_AUTOSCALER_POOLS_FILE": str(pools), "YEETER_AUTOSCALER_INTERVAL": "1"}
    autoscaler = site.start("autoscaler", "app.autoscaler", **settings)
    wait_until(lambda: not nobody_works(site), PATIENCE, "its workers")
    autoscaler.signal(signal.SIGKILL)
    wait_until(lambda: nobody_works(site), PATIENCE, "the workers that end in good order, and say so")


def nobody_works(site: Site) -> bool:
    with site.database.transaction() as work:
        return work.workers.alive() == []
