"""Runs under faults: the real parts as processes, a fault plan drawn from a seed, and the invariants afterwards.

    plan.py         what is to happen, and when: drawn from a seed, printable, the same for the same seed
    department.py   broker, database, archive, order receiver, each behind a proxy; the run's template and environment
    preloaded.py    programs started in milliseconds, so that a killed one is back at once
    crew.py         workers and producer: kept alive, killed, frozen
    director.py     carries a plan out; faults happen at set points of the run's progress, so each one always happens
    evidence.py     what rows, events, receivers and queues hold after a run
    invariants.py   what must be true of the evidence; each violation is a line of text
    chaos.py        all of it together: one plan carried out

Beside random plans there are faults of one kind, whose effect is measured (``make qualify`` has their long form):

    test_redelivery.py            consumers killed and frozen
    test_workers_come_and_go.py   rolling restarts, clocks that jump
    test_services_return.py       broker, database and archive away, and without room
    test_over_time.py             the rungs of the retry ladder, growth

``make test`` makes a run without faults, and runs of 1,500 orders under the plans of three seeds, a worker killed every
second beside them; test_embedded.py does the like to an embedded run. ``make chaos`` runs 10,000 orders under a random
seed, which it prints; ``make chaos CHAOS_SEEDS="7 8"`` carries out the plans of those seeds.
"""
