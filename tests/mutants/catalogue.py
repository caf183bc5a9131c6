"""The mutants, by where the promise is kept: on the wire, in the broker, in the rows, in workers and producer."""

from __future__ import annotations

from tests.mutants.trial import Mutant

_WIRE = (
    Mutant(
        name="empty-status-as-success",
        promise="an answer without a status is no answer: the outcome is unknown, and the same instance is sent again",
        file="app/dicom/network/command_set.py",
        old='        raise PduError(f"{len(value)} bytes in (0000,{element:04X}) where 2 belong")',
        new="        return 0",
        tests=("tests/contract/test_study_sender_faults.py",),
    ),
    Mutant(
        name="failure-status-as-success",
        promise="only the statuses that mean so count as stored",
        file="app/adapters/senders/dimse/command.py",
        old='    return "failed"\n',
        new='    return "stored"\n',
        tests=("tests/contract/test_study_sender.py::test_every_answer_is_a_result",),
    ),
    Mutant(
        name="faulty-association-is-reused",
        promise="after a fault of transport the association is given up: a late answer answers nothing",
        file="app/adapters/senders/dimse/association.py",
        old="        return not self._unanswered and not self._values\n",
        new="        return True\n",
        tests=("tests/contract/test_study_sender_faults.py",),
    ),
    Mutant(
        name="more-than-granted",
        promise="no more requests are under way than the archive granted",
        file="app/adapters/senders/dimse/association.py",
        old="    return min(window.invoked or WINDOW.invoked, WINDOW.invoked)\n",
        new="    return WINDOW.invoked\n",
        tests=("tests/contract/test_study_sender_window.py",),
    ),
    Mutant(
        name="answer-to-nobody",
        promise="an answer to a message that is not under way, or was answered, ends the association",
        file="app/adapters/senders/dimse/association.py",
        old="        if response.message_id not in self._unanswered:\n",
        new="        if not self._unanswered:\n",
        tests=("tests/contract/test_study_sender_window.py",),
    ),
    Mutant(
        name="any-acknowledgement-is-mine",
        promise="MSA-2 must be the control ID that was sent",
        file="app/adapters/senders/mllp.py",
        old="    if acknowledgement.control_id != control_id:\n        return None\n",
        new="",
        tests=("tests/contract/test_order_sender.py",),
    ),
    Mutant(
        name="any-code-is-accepted",
        promise="AR is a rejection, whatever else parses",
        file="app/adapters/senders/mllp.py",
        old='    "AR": "rejected",',
        new='    "AR": "accepted",',
        tests=("tests/contract/test_order_sender.py::test_rejected_is_not_sent_again",),
    ),
    Mutant(
        name="unknown-outcome-without-doubt",
        promise="an order that was sent again after an unknown outcome is said to be possibly duplicated",
        file="app/util/mllp/engine.py",
        old="        exchange.in_doubt = True\n",
        new="",
        tests=("tests/contract/test_order_sender.py::test_an_unknown_outcome_is_sent_again_on_a_new_connection",),
    ),
    Mutant(
        name="random-uids",
        promise="a study that is made again has the same UIDs, so that storing it again changes nothing",
        file="app/domain/identity.py",
        old='    value = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")\n',
        new='    value = int.from_bytes(hashlib.sha256(name.encode() + secrets.token_bytes(8)).digest()[:16], "big")\n',
        tests=("tests/unit/test_dicom_study.py",),
    ),
    Mutant(
        name="random-control-ids",
        promise="an order that is sent again has the same MSH-10, so that its receiver can tell",
        file="app/domain/identity.py",
        old='    return f"{accession_number(run_key, number)}{message:02d}"',
        new='    return f"{accession_number(run_key, number)}{secrets.randbelow(100):02d}"',
        tests=("tests/unit/test_identity.py", "tests/unit/test_planning.py"),
    ),
    Mutant(
        name="receiver-forgets",
        promise="a receiver that is killed comes back with what it had acknowledged",
        file="app/receivers/mllp/intake.py",
        old="            self._write(_record(order, copies, lie))",
        new="            pass",
        tests=("tests/unit/test_receiver_ledgers.py",),
    ),
)

_BROKER = (
    Mutant(
        name="multiple-acknowledgement",
        promise="acknowledging a message leaves those before it alone: their jobs may still run",
        file="app/util/rabbitmq_consumer.py",
        old="channel.basic_ack(tag)",
        new="channel.basic_ack(tag, multiple=True)",
        tests=("tests/contract/test_broker.py::test_acknowledged_is_gone_and_the_rest_comes_again_marked",),
    ),
    Mutant(
        name="no-confirms",
        promise="publishing is done when the broker has confirmed it, not when it was sent",
        file="app/util/rabbitmq_publisher.py",
        old="        while not batch.done.wait(self._confirm_seconds):\n",
        new="        while False:\n",
        tests=(
            "tests/contract/test_rabbitmq.py::test_a_frozen_broker_holds_nobody",
            "tests/contract/test_broker.py::test_a_message_without_a_queue_is_named_and_the_others_arrive",
        ),
    ),
    Mutant(
        name="not-mandatory",
        promise="a message that no queue takes is not published, though the broker confirms it",
        file="app/util/rabbitmq_publisher.py",
        old="mandatory=True",
        new="mandatory=False",
        tests=("tests/contract/test_broker.py::test_a_message_without_a_queue_is_named_and_the_others_arrive",),
    ),
    Mutant(
        name="refusal-as-confirm",
        promise="a message that the broker refuses (its queue is full) is not published",
        file="app/util/rabbitmq_publisher.py",
        old='"refused by the broker" if method.NAME == "Basic.Nack" else None',
        new="None",
        tests=("tests/contract/test_rabbitmq_faults.py",),
    ),
    Mutant(
        name="dead-messages-are-dropped",
        promise="what the broker gives up is set aside, where every worker looks for it",
        file="app/adapters/broker/rabbitmq.py",
        old='    "x-dead-letter-routing-key": DEAD_QUEUE,',
        new='    "x-dead-letter-routing-key": "nowhere",',
        tests=(
            "tests/contract/test_broker.py::test_what_comes_back_too_often_is_set_aside_once_and_says_where_it_was",
        ),
    ),
)

_ROWS = (
    Mutant(
        name="no-fence",
        promise="a finish writes only under the claim's own fence: an overtaken worker writes nothing",
        file="app/adapters/database/job_finishes.py",
        old="        .where(_c.fence == given.c.fence)\n",
        new="",
        tests=("tests/contract/test_database_jobs.py::test_a_stale_finish_writes_nothing_at_all",),
    ),
    Mutant(
        name="finish-twice",
        promise="a finish that comes again, because the answer to its commit was lost, writes nothing more",
        file="app/adapters/database/job_finishes.py",
        old="    return row is not None and row.state == StepState.RUNNING",
        new="    return row is not None",
        tests=("tests/contract/test_database_jobs.py",),
    ),
    Mutant(
        name="lost-answer-as-overtaken",
        promise="a finish whose row is ended under its own fence was written: its commit's answer was lost",
        file="app/adapters/database/job_finishes.py",
        old="    return [position in found for position in range(len(finishes))]",
        new="    return [_is_running(found.get(position)) for position in range(len(finishes))]",
        tests=("tests/contract/test_database_jobs.py",),
    ),
    Mutant(
        name="lost-jobs-stay-lost",
        promise="a job whose message comes again, or whose lease ran out, can be claimed again",
        file="app/adapters/database/job_claims.py",
        old='            return None if redelivered or head.lease_until < now else "taken"',
        new='            return "taken"',
        tests=("tests/contract/test_database_jobs.py",),
    ),
    Mutant(
        name="running-jobs-for-everybody",
        promise="a job that somebody runs is not claimed by another because a copy of its message came",
        file="app/adapters/database/job_claims.py",
        old='            return None if redelivered or head.lease_until < now else "taken"',
        new="            return None",
        tests=("tests/contract/test_database_jobs.py::test_a_ready_job_is_granted_once",),
    ),
    Mutant(
        name="done-jobs-again",
        promise="a job of an earlier epoch is finished, and is not run again by an old copy of its message",
        file="app/adapters/database/job_claims.py",
        old=" or head.epoch != request.epoch:",
        new=":",
        tests=("tests/contract/test_database_jobs.py",),
    ),
    Mutant(
        name="two-producers",
        promise="a run has one producer at a time: a lease that runs is not given away",
        file="app/adapters/database/runs.py",
        old="or_(runs.c.lease_until.is_(None), runs.c.lease_until < now)",
        new="runs.c.run_key.is_not(None)",
        tests=("tests/contract/test_database_leases.py",),
    ),
    Mutant(
        name="acknowledged-twice",
        promise="the end of an order's emission is written once, whoever comes again with it",
        file="app/adapters/database/orders.py",
        old="            orders.c.acknowledged_at.is_(None),\n",
        new="",
        tests=("tests/contract/test_database_orders.py::test_a_second_acknowledgement_writes_nothing",),
    ),
    Mutant(
        name="feed-reads-past-the-open",
        promise="the event feed waits for transactions that are still open, and so misses no event",
        file="app/adapters/database/event_feed.py",
        old=".where(_c.run_id == run_id, self._settled).order_by(_c.xid, _c.id).limit(limit)",
        new=".where(_c.run_id == run_id).order_by(_c.xid, _c.id).limit(limit)",
        tests=("tests/contract/test_database_feed.py::test_what_begins_first_and_commits_last_is_not_missed",),
    ),
    Mutant(
        name="over-before-all-is-published",
        promise="a run is outstanding as long as a job waits to be published",
        file="app/adapters/database/job_upkeep.py",
        old="    return bool(connection.execute(select(or_(unfinished, unpublished))).scalar_one())",
        new="    return bool(connection.execute(select(unfinished)).scalar_one())",
        tests=("tests/contract/test_database_orders.py",),
    ),
)

_WORKERS = (
    Mutant(
        name="early-acknowledgement",
        promise="a message is acknowledged after its job's outcome is committed, never before",
        file="app/runs/working/finisher.py",
        old="        while True:\n            try:\n                with self._gathering.transaction()",
        new=(
            "        self._inbox.acknowledge([done.claimed.delivery for done in group])\n"
            "        while True:\n            try:\n                with self._gathering.transaction()"
        ),
        tests=("tests/runs/test_worker.py::test_nothing_is_acknowledged_before_it_is_written",),
    ),
    Mutant(
        name="fault-costs-an-attempt",
        promise="a fault of transport is no verdict and costs no attempt",
        file="app/runs/working/consequences.py",
        old="            return _after_fault(text, policy, waited_seconds)",
        new="            return _after_verdict(text, policy, attempts + 1)",
        tests=("tests/unit/test_consequences.py::test_what_follows",),
    ),
    Mutant(
        name="no-isolation",
        promise="a job of which two starts were never heard of again runs in a process of its own",
        file="app/domain/retry.py",
        old="LOST_STARTS_TO_ISOLATE = 2",
        new="LOST_STARTS_TO_ISOLATE = 99",
        tests=("tests/runs/test_worker_isolation.py",),
    ),
    Mutant(
        name="no-dead-letter",
        promise="a job that is dead leaves a letter, in the transaction that ends it",
        file="app/adapters/database/job_finishes.py",
        old="        write_deaths(connection, [each for each in kept if each.death])\n",
        new="",
        tests=("tests/contract/test_database_dead_letters.py",),
    ),
    Mutant(
        name="following-job-is-lost",
        promise="what follows a job is in the outbox by the transaction that finishes it",
        file="app/adapters/database/job_finishes.py",
        old="        SqlOutbox(connection).put([each.following for each in kept if each.following])\n",
        new="",
        tests=("tests/contract/test_database_jobs.py::test_a_job_that_is_followed_by_one_elsewhere",),
    ),
    Mutant(
        name="overtaken-producer-writes",
        promise="each write of a producer proves that it still holds the run",
        file="app/runs/producing/lease.py",
        old="self.state = work.leases.hold(self.run_id, self._fence)",
        new="self.state = work.runs.get(self.run_id).state",
        tests=("tests/runs/test_takeover.py::test_a_frozen_producer_writes_nothing_after_it_was_overtaken",),
    ),
)

MUTANTS: tuple[Mutant, ...] = (*_WIRE, *_BROKER, *_ROWS, *_WORKERS)
