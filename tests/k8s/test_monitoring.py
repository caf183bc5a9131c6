"""Alerts and dashboard: promtool takes the rules, each alert fires when it should, and every metric is really told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.told import told_by_us
from tests.k8s.manifests import find, read, render
from tests.k8s.test_rabbitmq_settings import running
from tests.services.processes import ServiceMissing, wait_until

FOLDER = Path(__file__).resolve().parents[2] / "k8s" / "components" / "monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["spec"]
METRIC = re.compile(r"\b(?:yeeter|rabbitmq)_[a-z0-9_]+\b")

READY = 'rabbitmq_detailed_queue_messages_ready{queue="work"}'
CONSUMERS = 'rabbitmq_detailed_queue_consumers{queue="work"}'
SUCCEEDED, FAILED = (f'yeeter_worker_jobs_total{{outcome="{outcome}"}}' for outcome in ("succeeded", "failed"))
RUNNING, CONCURRENCY = (
    f'yeeter_worker_{name}{{{{pod="{{worker}}"}}}}' for name in ("jobs_running", "concurrency")
)  # with the pod that a scrape adds
FIRING: dict[str, tuple[dict[str, str], str]] = {  # series by minute, and when it fires
    "YeeterQueueDeep": ({READY: "101x10"}, "6m"),
    "YeeterQueueGrowing": ({READY: "0+120x40"}, "30m"),
    "YeeterNoConsumers": ({READY: "5x10", CONSUMERS: "0x10"}, "4m"),
    "YeeterRabbitMqAlarm": ({"rabbitmq_alarms_memory_used_watermark": "1x5"}, "1m"),
    "YeeterPoolNotMeasured": ({'yeeter_autoscaler_measured{pool="default"}': "0x10"}, "7m"),
    "YeeterPoolTooSmall": (
        {
            'yeeter_autoscaler_wanted_replicas{pool="default"}': "8x20",
            'yeeter_autoscaler_replicas{pool="default"}': "4x20",
        },
        "12m",
    ),
    "YeeterNobodyScales": ({"yeeter_autoscaler_leads": "0x10"}, "4m"),
    "YeeterScalingFails": ({"yeeter_autoscaler_errors_total": "0+1x20"}, "12m"),
    "YeeterJobsFail": ({FAILED: "0+6x20"}, "12m"),
    "YeeterDeadLetters": ({"yeeter_dead_letters_open": "1x5"}, "2m"),
    "YeeterWorkersSaturated": ({RUNNING.format(worker="b"): "4x20"}, "12m"),
    "YeeterDestinationAway": ({'yeeter_destinations{state="OPEN"}': "1x5"}, "4m"),
}
QUIET = {
    READY: "10x40",
    CONSUMERS: "3x40",
    "rabbitmq_alarms_memory_used_watermark": "0x40",
    "rabbitmq_alarms_free_disk_space_watermark": "0x40",
    'yeeter_autoscaler_measured{pool="default"}': "1x40",
    'yeeter_autoscaler_wanted_replicas{pool="default"}': "4x40",
    'yeeter_autoscaler_replicas{pool="default"}': "4x40",
    "yeeter_autoscaler_leads": "1x40",
    "yeeter_autoscaler_errors_total": "7x40",
    SUCCEEDED: "0+100x40",
    FAILED: "0+5x40",
    "yeeter_dead_letters_open": "0x40",
    'yeeter_destinations{state="OPEN"}': "0x40",
    RUNNING.format(worker="a"): "9x40",
    CONCURRENCY.format(worker="a"): "4x40",
    RUNNING.format(worker="b"): "3x40",
    CONCURRENCY.format(worker="b"): "4x40",
}


def promtool(*arguments: str | Path) -> str:
    program = shutil.which("promtool")
    if program is None:
        raise ServiceMissing("promtool", "prometheus")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Prometheus itself reads them."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(RULES))
    return path


def alerts() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def play(rules: Path, series: dict[str, str], at: str, alert: str) -> bool:
    """Whether the alert fires then."""
    test = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": []}],
            }
        ],
    }
    path = rules.with_name("test.yaml")
    path.write_text(yaml.safe_dump(test))
    program = shutil.which("promtool")
    assert program is not None
    done = subprocess.run(
        [program, "test", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "yaml" not in done.stderr and "parse" not in done.stderr, done.stderr
    return done.returncode != 0


def test_promtool_takes_the_rules(rules: Path) -> None:
    assert f"SUCCESS: {len(alerts())} rules found" in promtool("check", "rules", rules)


def test_every_alert_says_what_to_do_and_is_played_here() -> None:
    assert {rule["alert"] for rule in alerts()} == set(FIRING)
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "action"}


@pytest.mark.parametrize("alert", FIRING)
def test_it_fires_when_it_should_and_otherwise_not(rules: Path, alert: str) -> None:
    series, at = FIRING[alert]
    assert play(rules, QUIET | series, at, alert)
    assert not play(rules, QUIET, "30m", alert)


def dashboard() -> dict[str, Any]:
    text = find(read(FOLDER / "dashboard.yaml"), "ConfigMap", "yeeter-dashboard")["data"]["yeeter-workers.json"]
    return dict(json.loads(text))


def test_promtool_takes_what_the_dashboard_asks(tmp_path: Path) -> None:
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"SUCCESS: {len(asked)} rules found" in promtool("check", "rules", path)


def test_no_two_panels_of_the_dashboard_share_a_place() -> None:
    panels = dashboard()["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})
    assert len(places) == len(panels)


def test_every_metric_of_alerts_and_dashboard_is_really_told(tmp_path: Path) -> None:
    asked = set(METRIC.findall(json.dumps(RULES) + json.dumps(dashboard())))
    told = set[str]().union(*(each.series for each in told_by_us(tmp_path)))
    assert {name for name in asked if name.startswith("yeeter_")} - told == set()
    assert asked - told - set(METRIC.findall(_told_by_rabbitmq())) == set()


def test_the_manual_says_what_to_do_about_each() -> None:
    page = (FOLDER.parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [rule["alert"] for rule in alerts() if f"`{rule['alert']}`" not in page] == []


def test_the_component_brings_them() -> None:
    kinds = {item["kind"] for item in render(("k8s", "monitoring"))}
    assert {"PrometheusRule", "ServiceMonitor", "PodMonitor"} <= kinds


def _told_by_rabbitmq() -> str:
    with running("k8s") as node:

        def ask(path: str) -> str:
            url = f"http://127.0.0.1:{node.metrics_port}{path}"
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as answer:
                return str(answer.read().decode())

        families = "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count"
        node.declare("work")
        wait_until(lambda: "rabbitmq_detailed_queue_messages_ready" in ask(families), 60, "the queue is told")
        return ask("/metrics") + ask(families)
