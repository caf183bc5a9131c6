"""``python -m tests.qualify [NAME...] [--list]``: measure what has no evidence yet, or what is named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.qualify import evidence
from tests.qualify.bar import CHECKS, Check
from tests.qualify.machine import Tree, this_tree
from tests.qualify.trial import Interrupted, tail, try_check


def main(arguments: Sequence[str]) -> int:
    """1 when a check failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.qualify", description=__doc__)
    known = {check.name: check for check in CHECKS}
    parser.add_argument("names", nargs="*", metavar="NAME", help="measure these, whether there is evidence or not")
    parser.add_argument("--list", action="store_true", help="tell where each check stands, and measure nothing")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"there is no check {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [known[name] for name in given.names] or list(CHECKS)
    tree = this_tree()
    if given.list:
        _tell(chosen, tree)
        return 0
    open_ = chosen if given.names else [check for check in chosen if not _is_current(check, tree)]
    print(f"{len(open_)} checks to be measured, {len(chosen) - len(open_)} have evidence for this app/", flush=True)
    passed = [_measure(check) for check in open_]
    return 0 if all(passed) else 1


def _is_current(check: Check, tree: Tree) -> bool:
    return evidence.is_current(check, evidence.read(check.name), tree)


def _tell(checks: Sequence[Check], tree: Tree) -> None:
    for check in checks:
        document = evidence.read(check.name)
        if _is_current(check, tree):
            state = "passed"
        else:
            state = "not measured" if document is None else "stale" if document["passed"] else "FAILED"
        print(f"{check.name:20} {state:13} {check.bar}")


def _measure(check: Check) -> bool:
    print(f"{check.name:20} {check.bar} ...", flush=True)
    tree = this_tree()
    try:
        trial = try_check(check)
    except Interrupted as error:
        print(f"{'':20} not measured: {error}", flush=True)
        return False
    document = evidence.document_of(check, trial, tree)
    evidence.write(document)
    if not document["passed"]:
        print(*tail(trial.output), sep="\n")
    verdict = "passed" if document["passed"] else f"FAILED: {'; '.join([*trial.failed, *document['missed']])}"
    figures = ", ".join(f"{name} {value}" for name, value in trial.figures.items())
    print(f"{'':20} {verdict} in {trial.seconds:g} s: {figures}", flush=True)
    return bool(document["passed"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
