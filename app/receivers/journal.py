"""The file behind a receiver's ledger: a JSON line for each thing it took in, so that the next process knows it too.

A line is with the operating system before the peer has its answer, so it outlives this process even if that is killed.
It is not forced to the disk: a power failure may cost the latest lines.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from app.domain.errors import InvalidInput, Problem, Unavailable

LOCK_SECONDS = 10.0  # a receiver whose parent was killed is still ending when its successor starts

Record: TypeAlias = dict[str, Any]

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

log = structlog.get_logger()


class Journal:
    """The open file, which one process at a time may have. Thread-safe."""

    def __init__(self, path: Path, recall: Callable[[Record], None], lock_seconds: float = LOCK_SECONDS) -> None:
        """Open the file, or make it, and give each line that it has to ``recall``, in order.

        A last line without an end was cut off in the middle of a write: it is removed, and nobody was told that it was
        taken in.

        Raises:
            Unavailable: another process keeps the file open.
            InvalidInput: a line is no record, or ``recall`` raised KeyError, TypeError or ValueError over it.
            OSError: the file can't be opened.
        """
        self._path = path
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock_out_others(lock_seconds)
            self._size = self._read(recall)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line, whole or not at all.

        Raises:
            OSError: it can't be written.
        """
        text = _to_json(record)
        line = text.encode("utf-8", "backslashreplace") + b"\n"  # half a surrogate pair becomes JSON's escape for it
        with self._lock:
            written = os.write(self._file, line)
            if written < len(line):
                os.ftruncate(self._file, self._size)  # or the next line would go on behind the half of this one
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            self._size += written

    def close(self) -> None:
        os.close(self._file)

    def _lock_out_others(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() >= end:
                raise Unavailable(f"the ledger {self._path} is in use by another receiver (end that one first)")
            time.sleep(0.05)

    def _read(self, recall: Callable[[Record], None]) -> int:
        """The length of the lines that were read."""
        size = 0
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    log.warning("the last line of the ledger was cut off; removed", ledger=str(self._path), line=number)
                    os.ftruncate(self._file, size)
                    break
                try:
                    recall(_record(line))
                except (KeyError, TypeError, ValueError) as error:
                    problem = f"line {number} of {self._path} is not of this receiver's making: {error!r}"
                    raise InvalidInput(Problem("ledger", problem, "name another file")) from error
                size += len(line)
        return size


def _record(line: bytes) -> Record:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise TypeError("no object")
    return record
