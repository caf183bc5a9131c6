"""The ports: what the core asks of the world, with the contract and the errors each may raise.

Adapters live in ``app.adapters`` and are chosen in ``app.bootstrap``; each port's contract is one test suite that every
adapter passes.
"""

from __future__ import annotations

from app.ports.benchmarks import Benchmark, BenchmarkRow, Benchmarks
from app.ports.broker import DEAD_QUEUE, DELIVERY_LIMIT, Broker, Delivery, Message, QueueDepth, Subscription
from app.ports.database import (
    Database,
    DeadLetters,
    Destinations,
    EventFeed,
    IdempotencyKeys,
    Jobs,
    Journal,
    KeptAnswer,
    Leases,
    Orders,
    Outbox,
    Page,
    RequestKey,
    RunQueries,
    Runs,
    Templates,
    UnitOfWork,
)
from app.ports.metrics import Period, RunFigures, WorkerShareRow
from app.ports.observer import JobObserver
from app.ports.orders import OrderLedger, OrderOutcome, OrderSender, OrderVerdict, OutboundOrder
from app.ports.retention import EndedRun, Retention
from app.ports.scaling import (
    Leadership,
    Pins,
    QueueLoad,
    QueueMeter,
    ScalingRecord,
    ScalingRecords,
    SeenPool,
    WorkerBeat,
    WorkerPools,
    WorkerRow,
    Workers,
)
from app.ports.steps import Handover, Step, StepContext, StepResult, StepSource, Toolbox
from app.ports.studies import ArchiveQuery, StudySender, StudyStore
from app.ports.tracing import Tracing
from app.ports.webhooks import DueWebhook, Webhooks, WebhookSender

__all__ = [
    "DEAD_QUEUE",
    "DELIVERY_LIMIT",
    "ArchiveQuery",
    "Benchmark",
    "BenchmarkRow",
    "Benchmarks",
    "Broker",
    "Database",
    "DeadLetters",
    "Delivery",
    "Destinations",
    "DueWebhook",
    "EndedRun",
    "EventFeed",
    "Handover",
    "IdempotencyKeys",
    "JobObserver",
    "Jobs",
    "Journal",
    "KeptAnswer",
    "Leadership",
    "Leases",
    "Message",
    "OrderLedger",
    "OrderOutcome",
    "OrderSender",
    "OrderVerdict",
    "Orders",
    "OutboundOrder",
    "Outbox",
    "Page",
    "Period",
    "Pins",
    "QueueDepth",
    "QueueLoad",
    "QueueMeter",
    "RequestKey",
    "Retention",
    "RunFigures",
    "RunQueries",
    "Runs",
    "ScalingRecord",
    "ScalingRecords",
    "SeenPool",
    "Step",
    "StepContext",
    "StepResult",
    "StepSource",
    "StudySender",
    "StudyStore",
    "Subscription",
    "Templates",
    "Toolbox",
    "Tracing",
    "UnitOfWork",
    "WebhookSender",
    "Webhooks",
    "WorkerBeat",
    "WorkerPools",
    "WorkerRow",
    "WorkerShareRow",
    "Workers",
]
