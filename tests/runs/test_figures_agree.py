"""One run, and all who tell of it: summary, kept figures, Prometheus, report and comparison say the same."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from app.api.figures import LiveFigures
from app.api.reports import report_page, run_documents
from app.domain.run import Run
from app.domain.threshold import flat_figures
from app.reporting.comparison import compare_runs
from app.reporting.numbers import bytes_text, count_text
from app.worker.metrics import WorkerMetrics
from tests.runs.conftest import World
from tests.runs.faults import Producing

ORDERS = 25


def told(metrics: WorkerMetrics) -> dict[str, float]:
    """Samples by name, of all labels together."""
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.page()[2].decode()):
        for sample in family.samples:
            samples[sample.name] = samples.get(sample.name, 0.0) + sample.value
    return samples


def run_watched(world: World) -> tuple[Run, dict[str, float]]:
    metrics = WorkerMetrics(("GENERATE_DICOM", "SEND_DICOM"))
    worker = world.worker(observers=(metrics,))
    producing = Producing(world, world.start(orders=ORDERS))
    worker.start()
    run = producing.wait()
    assert worker.stop(10)
    return run, told(metrics)


def test_everybody_tells_the_same_of_a_run(world: World) -> None:
    run, samples = run_watched(world)
    figures = flat_figures(run.summary or {})
    with world.database.transaction() as work:
        kept = work.figures.get(run.id, 0)
    assert kept is not None
    stages = {stage.stage: stage for stage in kept.stages}
    assert samples["yeeter_worker_jobs_total"] == figures["jobs.succeeded"] == stages["job_run"].count == ORDERS
    assert samples["yeeter_worker_stored_instances_total"] == figures["dicom.instances_stored"]
    assert samples["yeeter_worker_stored_bytes_total"] == figures["dicom.bytes_stored"]
    assert samples["yeeter_worker_c_store_seconds_count"] == stages["c_store"].count
    assert samples["yeeter_worker_queue_wait_seconds_count"] == stages["job_wait"].count

    report = re.sub(r"\s+", " ", report_page(world.database, LiveFigures(world.database), run))
    assert f"{ORDERS} of {ORDERS} orders completed" in report
    assert f"<dt>Stored</dt><dd>{bytes_text(figures['dicom.bytes_stored'])}</dd>" in report
    assert f"<dt>Orders a second</dt><dd>{count_text(figures['rates.orders_per_second'])}</dd>" in report
    documents = run_documents(world.database, LiveFigures(world.database), run)
    compared = {each["figure"]: each["after"] for each in compare_runs(documents, documents)["figures"]}
    assert {path: compared[path] for path in figures} == figures
