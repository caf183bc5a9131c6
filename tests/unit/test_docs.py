"""What README and docs say is so: commands, options, links, tables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from app.adapters.broker.rabbitmq import DEAD_QUEUE, JOBS_EXCHANGE, WORK_QUEUE_ARGUMENTS
from app.cli import exit_codes
from app.cli.program import root
from app.domain.run import RunState
from app.settings import Settings
from app.steps.registry import BUILT_IN

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")


def text(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def shell_lines() -> list[tuple[str, str]]:
    blocks = [
        (page.name, block) for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.S)
    ]
    return [(name, line.split("#")[0].strip(" &")) for name, block in blocks for line in block.splitlines()]


def yeeter_commands() -> list[str]:
    inline = [
        command for page in PAGES for command in re.findall(r"`(yeeter [^`]+)`", page.read_text(encoding="utf-8"))
    ]
    typed = [line for _, line in shell_lines() if line.startswith("yeeter ")]
    return sorted(set(inline + typed))


@pytest.mark.parametrize("line", yeeter_commands())
def test_a_command_that_is_shown_exists_with_its_options(line: str) -> None:
    command = get_command(root)
    words = shlex.split(line.split(" > ")[0])[1:]
    path = []
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        path.append(words[0])
        assert words[0] in command.commands, f"yeeter {' '.join(path)} does not exist"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    for option in (word.split("=")[0] for word in words if word.startswith("-")):
        assert option in known, f"yeeter {' '.join(path)} has no {option}"


@pytest.mark.parametrize("line", sorted({line for _, line in shell_lines() if line.startswith("make ")}))
def test_a_make_target_that_is_shown_exists(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", text("Makefile"), re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_has_every_exit_code() -> None:
    codes = {value for name, value in vars(exit_codes).items() if name.isupper()}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.M)} == codes


def test_the_two_commands_stand_on_the_readmes_first_screen() -> None:
    first_screen = "\n".join(README.splitlines()[:24])
    assert "make demo" in first_screen and "make test" in first_screen


def test_the_architecture_page_has_every_step_type_and_run_state() -> None:
    page = text("docs/architecture.md")
    for word in [*BUILT_IN, *(state for state in RunState if state is not RunState.PAUSED)]:
        assert word in page, word


def test_the_rabbitmq_page_has_what_is_declared() -> None:
    page = text("docs/rabbitmq-deployment.md")
    for word in (JOBS_EXCHANGE, DEAD_QUEUE, Settings().rabbitmq_order_queue):
        assert f"`{word}`" in page
    assert f"`x-delivery-limit` {WORK_QUEUE_ARGUMENTS['x-delivery-limit']}" in page
    assert f"`x-overflow` {WORK_QUEUE_ARGUMENTS['x-overflow']}" in page


def test_settings_that_pages_name_exist() -> None:
    known = {f"YEETER_{name.upper()}" for name in Settings.model_fields} | {"YEETER_CONFIG"}
    for page in PAGES:
        assert set(re.findall(r"YEETER_[A-Z_]+", page.read_text(encoding="utf-8"))) <= known, page.name


def test_the_shipped_templates_that_are_named_exist() -> None:
    shipped = {path.stem for path in (PROJECT / "app" / "templates").glob("*.yaml")}
    named = re.findall(r"yeeter (?:run|templates show) ([a-z-]+)", " ".join(yeeter_commands()))
    assert named and set(named) <= shipped
