"""``yeeter version``."""

from __future__ import annotations

import platform

from app.cli import options
from app.cli.output import write, write_json

_LIBRARIES = ("pika", "pydicom", "pynetdicom", "sqlalchemy")


def version(json: options.Json = False) -> None:
    """Show the version, and those of Python and the libraries that talk to others."""
    from importlib import metadata

    versions = {"yeeter": metadata.version("hl7-yeeter"), "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in _LIBRARIES}
    if json:
        write_json(versions)
    else:
        for name, number in versions.items():
            write(f"{name} {number}")
