"""The long figures of the reliability bar: measured one by one, kept with what they were measured on.

    amounts.py     how much a measuring test does: a little with every test run, what the bar asks for here
    bar.py         the checks: the bar in words and limits, the tests that measure it, and their long form
    trial.py       runs a check in processes of its own, and reads the figures that its tests have recorded
    evidence.py    a file for each check under docs/evidence/, and the page made from them
    machine.py     what was measured, and on what
    test_*.py      measuring tests that have no other home; ``make test`` runs their short form

``make qualify`` runs the checks that have no passing evidence yet for ``app/`` as it is committed, so one that was
interrupted goes on where it was. ``python -m tests.qualify NAME...`` runs those named, ``--list`` tells where each one
stands. Tests record figures by pytest's ``record_property`` and assert what must always hold; limits of time are judged
here alone, as a test run on a loaded machine proves nothing about them.
"""
