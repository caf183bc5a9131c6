"""The composition root: settings to a bundle of adapters. The only importer of ``app.adapters``.

Every part is a plain attribute and can be replaced in a test by passing another one.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from app.adapters.archive.dicom_query import DicomArchiveQuery
from app.adapters.archive.mllp_ledger import MllpOrderLedger
from app.adapters.broker.in_process import InProcessBroker
from app.adapters.broker.rabbitmq import JOBS_EXCHANGE, RabbitMqBroker
from app.adapters.broker.rabbitmq_management import RabbitMqQueueMeter
from app.adapters.database import SqlDatabase
from app.adapters.senders.dimse import DimseStudySender
from app.adapters.senders.mllp import MllpOrderSender
from app.adapters.senders.webhook import HttpWebhookSender
from app.adapters.study_store.file_system import FileSystemStudyStore
from app.adapters.study_store.object_store import ObjectStudyStore
from app.adapters.tracing import open_tracing
from app.adapters.worker_pool.kubernetes import KubernetesPools, LeaseLeadership, connect
from app.adapters.worker_pool.local import FileLeadership, LocalPools, start_worker
from app.domain.allowlist import Allowlist
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.errors import Conflict, InvalidInput, NotFound, Problem
from app.domain.scaling import PoolPolicy, parse_pools
from app.domain.template import StepTypes, parse_template
from app.ports import (
    ArchiveQuery,
    Broker,
    Database,
    JobObserver,
    Leadership,
    OrderLedger,
    OrderSender,
    QueueMeter,
    StudySender,
    StudyStore,
    Toolbox,
    Tracing,
    WorkerPools,
)
from app.runs.parts import Parts
from app.runs.tending.scaling import Autoscaler, PoolKeeper, ScalingParts
from app.runs.tending.webhooks import Courier
from app.runs.working.execute import JobRunner
from app.runs.working.isolation import Isolation, StartChild
from app.runs.working.spans import TracedSender
from app.runs.working.work import RunStates, Worker, WorkerOptions
from app.settings import Settings
from app.steps.registry import StepRegistry
from app.util.addresses import Found, Resolve, resolve
from app.util.answering_process import AnsweringProcess, SpawnedChild
from app.util.garbage import collect_seldom

LEASE_INTERVALS = 3  # between two looks of the autoscaler, which its Lease outlasts
MIN_LEASE_SECONDS = 15.0
SHIPPED_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything a program needs. ``broker`` is in-process when no RabbitMQ is configured."""

    settings: Settings
    database: Database
    broker: Broker
    inline: Broker
    studies: StudyStore
    sender: StudySender
    archive: ArchiveQuery
    ledger: OrderLedger
    steps: StepRegistry
    tls: ssl.SSLContext | None
    resolve: Resolve = resolve
    start_child: StartChild | None = None  # processes for jobs to run in; None: each is a program of its own
    tracing: Tracing | None = None

    @property
    def is_embedded(self) -> bool:
        """No broker of its own: producer, queue and workers are one process."""
        return self.broker is self.inline

    @property
    def types(self) -> StepTypes:
        return self.steps.types

    def open_sender(self, destination: Hl7Destination) -> OrderSender:
        return MllpOrderSender(destination, self.tls, resolve=self.resolve)

    def producer_parts(self) -> Parts:
        settings = self.settings
        return Parts(
            database=self.database,
            broker=self.broker,
            inline=self.inline,
            steps=self.steps,
            studies=self.studies,
            archive=self.archive,
            ledger=self.ledger,
            open_sender=self.open_sender,
            order_queue=settings.rabbitmq_order_queue,
            backpressure_mark=settings.backpressure_mark,
            lease_seconds=settings.lease_seconds,
            reconcile_within=settings.reconcile_deadline,
            resolve=self.resolve,
            tracing=self.tracing,
        )

    def courier(self) -> Courier:
        return Courier(self.database, HttpWebhookSender(self.tls, self.resolve))

    def worker(
        self,
        queues: tuple[str, ...],
        concurrency: int | None = None,
        broker: Broker | None = None,
        observers: Iterable[JobObserver] = (),
    ) -> Worker:
        """A worker of these queues, not yet started."""
        options = WorkerOptions(
            name=worker_name(),
            queues=queues,
            concurrency=concurrency or self.settings.worker_concurrency,
            prefetch=self.settings.worker_prefetch,
            job_lease=self.settings.job_lease,
        )
        isolation = Isolation(self.start_child or self._spawn_child)
        broker = broker or self.broker
        return Worker(options, broker, self.database, self.steps, self.studies, isolation, observers, self.tracing)

    def answers_others(self, destination: DicomDestination) -> bool:
        """Whether an archive that gives us no answer gives one to pynetdicom."""
        from app.adapters.archive.second_opinion import answers_others  # takes a moment, and few ever ask

        return answers_others(destination, self.tls, self.resolve)

    @contextmanager
    def autoscaler(self) -> Iterator[Autoscaler]:
        """Over the platform that the settings name; its leadership is let go at the end.

        Raises:
            InvalidInput: a setting can't be used.
        """
        pools, leadership = _platform(self.settings)
        with self.scaling(pools) as keepers:
            autoscaler = Autoscaler(keepers, leadership)
            try:
                yield autoscaler
            finally:
                autoscaler.stop()

    def attend_now(self, policy: PoolPolicy) -> None:
        """See to a person's number at once, where somebody who is not the autoscaler can do that: on Kubernetes.

        Raises:
            Unavailable, NotFound: the cluster or the database; InvalidInput: a setting.
        """
        if self.settings.autoscaler_platform == "kubernetes" and self.settings.broker_url:
            pools, _ = _platform(self.settings)
            with self.scaling(pools) as keepers:
                next(keeper for keeper in keepers if keeper.policy == policy).attend(measure=False)

    @contextmanager
    def scaling(self, pools: WorkerPools) -> Iterator[list[PoolKeeper]]:
        """Who looks after each pool that is configured; closed with these pools at the end. Raises InvalidInput."""
        settings = self.settings
        with closing(pools), closing(self.queue_meter()) as meter:
            pin_seconds = settings.autoscaler_pin_seconds
            parts = ScalingParts(self.database, meter, pools, settings.rabbitmq_order_queue, pin_seconds)
            yield [PoolKeeper(parts, policy) for policy in self.pools]

    def queue_meter(self) -> QueueMeter:
        """Tells what queues hold, where a broker is configured; to be closed. Raises InvalidInput."""
        settings = self.settings
        assert settings.broker_url is not None
        return RabbitMqQueueMeter(settings.broker_url, settings.rabbitmq_management_url, self.tls)

    @property
    def pools(self) -> list[PoolPolicy]:
        """The worker pools that are configured. Raises InvalidInput."""
        return _read_pools(self.settings)

    def isolated_runner(self, worker: str) -> JobRunner:
        """Runs a job in this child process; its parent has waited for the destination's rate."""
        return JobRunner(self.steps, worker, RunStates(self.database).is_cancelled, lambda *_: True)

    def _spawn_child(self) -> AnsweringProcess:
        command = [sys.executable, "-m", "app.worker.isolated"]
        return AnsweringProcess(SpawnedChild(command, self.settings.as_environment()))


@contextmanager
def bootstrap(settings: Settings, start_child: StartChild | None = None) -> Iterator[Bundle]:
    """Make the adapters that the settings ask for, and close them at the end. Nothing is connected before its use.

    Raises:
        InvalidInput: a setting can't be used.
    """
    collect_seldom()
    tls, resolve = tls_context(settings), _resolver(settings)
    inline = InProcessBroker()
    broker: Broker = RabbitMqBroker(settings.broker_url, tls=tls) if settings.broker_url else inline
    database = SqlDatabase(settings.sqlalchemy_url)
    studies = _study_store(settings.studies)
    tracing = open_tracing(JOBS_EXCHANGE if settings.broker_url else "")
    sender: StudySender = DimseStudySender(tls, resolve=resolve)
    sender = sender if tracing is None else TracedSender(sender, tracing)
    archive = DicomArchiveQuery(tls, resolve)
    steps = StepRegistry(Toolbox(studies, sender, archive), settings.step_types)
    ledger = MllpOrderLedger(tls, resolve=resolve)
    bundle = Bundle(
        settings, database, broker, inline, studies, sender, archive, ledger, steps, tls, resolve, start_child, tracing
    )
    closing: list[Callable[[], None]] = [sender.close, broker.close, inline.close, database.close]
    if tracing is not None:
        closing.append(tracing.close)
    try:
        yield bundle
    finally:
        for close in closing:
            close()


def prepare_database(bundle: Bundle) -> None:
    """Migrate, and add the shipped templates that are not there yet. Safe to repeat, and for many at once.

    Raises:
        Unavailable: the database can't be reached.
    """
    bundle.database.upgrade()
    with bundle.database.transaction() as work:
        for path in sorted(SHIPPED_TEMPLATES.glob("*.yaml")):
            template = parse_template(yaml.safe_load(path.read_text(encoding="utf-8")), bundle.types)
            try:
                row = work.templates.get(template.name)
            except NotFound:
                with suppress(Conflict):  # another process, which starts at the same time, was faster
                    work.templates.add(template, shipped=True)
                continue
            if row.shipped and parse_template(row.document, bundle.types) != template:
                work.templates.replace(template.name, template, shipped=True)


def _study_store(location: str) -> StudyStore:
    """In a bucket if it has a scheme, else in a folder. Raises InvalidInput."""
    return ObjectStudyStore(location) if "://" in location else FileSystemStudyStore(Path(location))


def _platform(settings: Settings) -> tuple[WorkerPools, Leadership]:
    if settings.autoscaler_platform == "local":
        pools = LocalPools(start_worker(settings.as_environment()), settings.worker_grace)
        return pools, FileLeadership(settings.home / "autoscaler.lock")
    cluster = connect(settings.autoscaler_namespace)
    identity = settings.autoscaler_identity or worker_name()
    seconds = max(LEASE_INTERVALS * settings.autoscaler_interval, MIN_LEASE_SECONDS)
    return KubernetesPools(cluster), LeaseLeadership(cluster, settings.autoscaler_lease, identity, seconds)


def _read_pools(settings: Settings) -> list[PoolPolicy]:
    path = settings.autoscaler_pools_file
    if path is None:
        most = (os.cpu_count() or 1) if settings.autoscaler_platform == "local" else PoolPolicy(name="default").max
        return [PoolPolicy(name="default", max=most)]
    try:
        return parse_pools(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(Problem("YEETER_AUTOSCALER_POOLS_FILE", f"{path}: {error}", "give a YAML list")) from error
    except InvalidInput as error:
        problems = [replace(each, field=f"YEETER_AUTOSCALER_POOLS_FILE.{each.field}") for each in error.problems]
        raise InvalidInput(*problems) from error


def worker_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _resolver(settings: Settings) -> Resolve:
    """What the destinations' names stand for; once there is a list of allowed ones, only of those.

    So every connection, of whatever process and whoever started the run, is judged by the address it goes to. Without a
    broker, runs without destinations send to built-in receivers on 127.0.0.1.
    """
    if "allowed_destinations" not in settings.model_fields_set:
        return resolve
    built_in = [] if settings.broker_url else ["127.0.0.1"]
    allowlist = Allowlist([*settings.allowed_destinations, *built_in])

    def resolve_allowed(host: str, port: int) -> list[Found]:
        refusal = allowlist.refusal(host, port, ())
        found = [] if refusal else resolve(host, port)
        refusal = refusal or allowlist.refusal(host, port, [str(address[0]) for *_, address in found])
        if refusal:
            raise OSError(f"{refusal}; YEETER_ALLOWED_DESTINATIONS lists those that are")
        return found

    return resolve_allowed


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The client context for destinations that ask for TLS; the system's CAs unless a file is set.

    Raises:
        InvalidInput: a file of the settings can't be read as what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.tls_cert_file:
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        names = "YEETER_TLS_CA_FILE, YEETER_TLS_CERT_FILE or YEETER_TLS_KEY_FILE"
        raise InvalidInput(
            Problem(names, f"can't be used: {error}", "give PEM files that this user can read")
        ) from error
    return context
