"""``python -m app.receivers mllp|dicom``: a built-in receiver as a child process.

It prints one JSON line when it is ready (see :mod:`app.receivers.lifecycle`); warnings go to stderr. Its flags are
the fields of the receiver's options.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from app.domain.errors import YeeterError
from app.util.logs import configure_logs

_OPTIONS = {"mllp": "MllpReceiverOptions", "dicom": "DicomReceiverOptions"}


def main(arguments: list[str]) -> int:
    """Run the receiver that the first argument names; the exit code."""
    configure_logs("warning", "console")  # a child's everyday lines would only disturb whoever started it
    parser = argparse.ArgumentParser(prog="python -m app.receivers", description="A built-in receiver.")
    parser.add_argument("receiver", choices=_OPTIONS)
    name = parser.parse_args(arguments[:1]).receiver
    receiver: Any = import_module(f"app.receivers.{name}")  # only this one: the other need not be installed whole
    options = getattr(receiver, _OPTIONS[name])
    _add_flags(parser, options)
    given = vars(parser.parse_args(arguments))
    del given["receiver"]
    try:
        receiver.serve(options(**given))
    except (YeeterError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _add_flags(parser: argparse.ArgumentParser, options: Any) -> None:
    for field in fields(options):
        flag = "--" + field.name.replace("_", "-")
        if field.default is False:
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(
                flag, type=Path if field.default is None else type(field.default), default=field.default
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
