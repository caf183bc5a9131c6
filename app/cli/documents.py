"""Reading documents and values that people write: YAML (JSON is YAML too)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from app.domain.errors import InvalidInput, Problem

STDIN = "-"
SUFFIXES = (".yaml", ".yml", ".json")


def is_file_name(text: str) -> bool:
    """Whether a TEMPLATE argument names a file rather than a stored template."""
    return text == STDIN or "/" in text or text.endswith(SUFFIXES)


def read_document(name: str) -> dict[str, Any]:
    """The mapping in a YAML or JSON file (``-``: standard input).

    Raises:
        InvalidInput: it can't be read, or holds something else; says where.
    """
    document = parse_value(_read(name), name)
    if not isinstance(document, dict):
        raise InvalidInput(Problem(name, "holds no mapping", "begin with name: and steps:"))
    return document


def parse_value(text: str, where: str) -> Any:
    """A YAML value: ``3``, ``true``, ``[1, 2]``, ``text``. ``where`` names its place in the error.

    Raises:
        InvalidInput: it is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(Problem(where, f"not valid YAML: {_first_fault(error)}")) from error
    except RecursionError as error:
        raise InvalidInput(Problem(where, "nested too deeply")) from error
    except ValueError as error:  # a date such as 2026-13-01
        raise InvalidInput(Problem(where, f"not valid YAML: {error}")) from error


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InvalidInput(Problem(name, "no such file")) from error
    except OSError as error:
        raise InvalidInput(Problem(name, f"can't be read: {error.strerror}")) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(Problem(name, f"not UTF-8 text: byte {error.start}")) from error


def _first_fault(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
