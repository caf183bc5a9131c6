"""What docs/security.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

from app.api.application import PAINTERS
from app.api.body import BODY_SECONDS, MAX_BODY
from app.api.documents import MAX_DEPTH
from app.api.live.sockets import MAX_MESSAGE, MAX_SOCKETS, MAX_SUBSCRIPTIONS
from app.api.producers import MAX_PRODUCERS
from app.api.roles import Role
from app.api.tokens import parse_entries
from app.domain.identity import MAX_ORDERS
from app.runs.tending.webhooks import DELAYS

PATH = Path(__file__).resolve().parents[2] / "docs" / "security.md"
PAGE = PATH.read_text(encoding="utf-8")


def test_the_limits_are_these() -> None:
    for row in (
        f"| request body | {MAX_BODY // 2**20} MiB, within {BODY_SECONDS:.0f} s |",
        f"| nesting of JSON and YAML | {MAX_DEPTH} deep; no YAML aliases |",
        f"| orders of a run | {MAX_ORDERS:,} |",
        f"| runs worked on by one server | {MAX_PRODUCERS}; more wait |",
        f"| images made again at once, to be looked at | {PAINTERS}; more wait |",
        f"| sockets of one server | {MAX_SOCKETS:,}, those included that never say who they are; {MAX_SUBSCRIPTIONS} ",
        f"| attempts to tell a webhook | {len(DELAYS) + 1}, of 30 s at most |",
        f"| one message of a socket | {MAX_MESSAGE // 1024} KiB |",
    ):
        assert row in PAGE


def test_the_roles_are_these() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.M) == list(Role)


def test_the_entry_that_is_shown_is_one() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    assert [(entry.name, entry.role) for entry in parse_entries(block, PATH)] == [("ci", Role.OPERATOR)]
