"""Studies as files: ``<root>/<run id>/<order number>/00001.dcm`` and on, each readable by any DICOM viewer.

    7/                  one order's study, whole
        00001.dcm       Part 10 files in the order they were written
        00002.dcm
        .sizes          bytes of each file, written last
    .7.0c4e....partial/    being written, or left behind by a process that died

A study is written beside its place and then renamed, so a reader finds all of it or nothing. Nothing is flushed to the
disk (no fsync): what a power failure takes is made again from the order, and ``.sizes`` tells a damaged study from a
whole one. Leftovers go when their run is removed.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import structlog

from app.adapters.study_store.names import file_name, run_name, study_name
from app.dicom.part10 import read_part10, write_part10
from app.domain.errors import InvalidInput, NotFound, Problem, TemporaryError, TransportFault
from app.domain.study import EncodedInstance

_SIZES = ".sizes"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REPLACEMENTS = 10  # tries to take the place of a study that others replace at the same time

_log = structlog.get_logger()


class FileSystemStudyStore:
    """Keeps studies under a folder that several workers may share."""

    def __init__(self, root: Path) -> None:
        """``root`` need not be there yet."""
        self._root = root

    def write(self, run_id: str, order_number: int, instances: Iterable[EncodedInstance]) -> tuple[int, int]:
        """Write all instances, whole or not at all; writing again replaces. Returns (instances, bytes).

        Raises:
            TransportFault: the disk is full or can't be written, which is no verdict about the study; nothing of it is
                left.
        """
        place = self._study(run_id, order_number)
        partial = _beside(place, "partial")
        try:
            partial.mkdir(parents=True)
            sizes = [_write_instance(partial, number, item) for number, item in enumerate(instances, 1)]
            (partial / _SIZES).write_text(" ".join(map(str, sizes)), "ascii")
            _move_into_place(partial, place)
        except OSError as error:
            raise self._cannot_write(error) from error
        finally:
            _remove_folder(partial)  # gone already when all went well
        return len(sizes), sum(sizes)

    def read(self, run_id: str, order_number: int) -> Iterator[EncodedInstance]:
        """The instances in the order they were written.

        Raises:
            NotFound: the study is not there, or not whole; known before the first instance is handed out.
            TemporaryError: (while iterating) a file could not be read, for example because it was just removed.
        """
        place = self._study(run_id, order_number)
        try:
            sizes = [int(size) for size in (place / _SIZES).read_text("ascii").split()]
            files = [place / file_name(number) for number in range(1, len(sizes) + 1)]
            damaged = [path.name for path, size in zip(files, sizes, strict=True) if path.stat().st_size != size]
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"study of order {order_number} of run {run_id} is not in the study store") from error
        except (OSError, ValueError) as error:
            raise NotFound(f"study of order {order_number} of run {run_id} can't be read: {error}") from error
        if damaged or not sizes:
            _log.warning("damaged study", run_id=run_id, order=order_number, files=damaged[:3])
            raise NotFound(f"study of order {order_number} of run {run_id} is damaged in the study store")
        return (_read_instance(path) for path in files)

    def remove(self, run_id: str, order_number: int | None = None) -> None:
        """Remove a study, or all of a run with what dead processes left of it; nothing to do when it is not there."""
        _remove_folder(self._run(run_id) if order_number is None else self._study(run_id, order_number))

    def free_bytes(self) -> int:
        """Space left on the disk that holds, or will hold, the studies."""
        there = next(path for path in (self._root.resolve(), *self._root.resolve().parents) if path.exists())
        return shutil.disk_usage(there).free

    def _study(self, run_id: str, order_number: int) -> Path:
        return self._run(run_id) / study_name(order_number)

    def _run(self, run_id: str) -> Path:
        """The run's folder, certainly below the root: no other characters, and no link that leads elsewhere."""
        folder, root = self._root / run_name(run_id), self._root.resolve()
        if folder.resolve() != root / run_id:
            raise InvalidInput(Problem("run_id", f"{folder} leads out of the study store", "remove the link"))
        return folder

    def _cannot_write(self, error: OSError) -> TransportFault:
        if error.errno in _FULL:
            return TransportFault(
                f"the disk of the study store {self._root} is full: free space, or remove kept studies"
            )
        return TransportFault(f"the study store {self._root} can't be written: {error.strerror or error}")


def _write_instance(folder: Path, number: int, instance: EncodedInstance) -> int:
    with (folder / file_name(number)).open("wb") as file:
        return file.write(write_part10(instance)) + file.write(instance.data)


def _read_instance(path: Path) -> EncodedInstance:
    try:
        return read_part10(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TemporaryError(f"{path.name} can't be read from the study store: {error}") from error


def _beside(place: Path, kind: str) -> Path:
    """A new hidden name in the same folder, so that a rename between the two never copies."""
    return place.parent / f".{place.name}.{uuid4().hex}.{kind}"


def _move_into_place(partial: Path, place: Path) -> None:
    """Rename ``partial`` to ``place``. A study that is there is moved aside first; either rename is atomic."""
    for _ in range(_REPLACEMENTS):
        try:
            partial.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
        aside = _beside(place, "replaced")
        with suppress(FileNotFoundError):  # somebody else moved it just now
            place.rename(aside)
        _remove_folder(aside)
    raise FileExistsError(errno.EEXIST, "others replace the same study all the time", str(place))


def _remove_folder(folder: Path) -> None:
    """Remove what can be removed; somebody else may be at it too."""

    def tell(_function: object, path: str, failure: tuple[type[BaseException], BaseException, object]) -> None:
        if not isinstance(failure[1], FileNotFoundError):
            _log.warning("study store: could not remove", path=path, error=str(failure[1]))

    shutil.rmtree(folder, onerror=tell)
