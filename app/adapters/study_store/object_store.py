"""Studies as objects of S3, and of what speaks its protocol: ``s3://<bucket>/<prefix>/<run id>/<order number>.tar``.

A study is one object: a tar of the Part 10 files that a folder would have, in the order they were written. An object
appears whole or not at all, and its last writer wins; so nothing has to mark a study as complete, no reader sees a
mixture of two, and a small study is one request. What a writer that died had sent of a large one no reader sees: a
lifecycle rule of the bucket (AbortIncompleteMultipartUpload) removes it.

Credentials, endpoint and region are those of AWS's own variables, which the library reads: no setting holds a secret.
"""

from __future__ import annotations

import importlib.util
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from io import BytesIO
from typing import Any

import structlog

from app.adapters.study_store.names import file_name, run_name, study_name
from app.dicom.part10 import read_part10, write_part10
from app.domain.errors import InvalidInput, NotFound, Problem, TemporaryError, Unavailable
from app.domain.study import EncodedInstance

_LOCATION = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_.=-]+)*)/?")
_BLOCK = 8 * 2**20  # bytes of a part, and of what is read ahead: a worker holds one for each job it runs
_CONNECT_SECONDS = 5
_READ_SECONDS = 20
_TRIES = 2  # of a request, at once; later ones are those of the job

_log = structlog.get_logger()


class ObjectStudyStore:
    """Keeps studies in a bucket that several workers may share. Thread-safe; connected when it is first used."""

    def __init__(self, location: str) -> None:
        """``location``: ``s3://bucket/prefix``. The bucket has to be there before the first study.

        Raises:
            InvalidInput: it is not of this form, or the library is not installed.
        """
        match = _LOCATION.fullmatch(location)
        if match is None:
            cure = "give s3://BUCKET/PREFIX, or a folder"
            raise InvalidInput(Problem("YEETER_STUDY_STORE", "not the address of a bucket", cure))  # nor to be repeated
        if importlib.util.find_spec("s3fs") is None:
            cure = "pip install 'hl7-yeeter[object-store]'"
            raise InvalidInput(Problem("YEETER_STUDY_STORE", f"{location} needs the library s3fs", cure))
        self._root = "".join(match.groups())

    def write(self, run_id: str, order_number: int, instances: Iterable[EncodedInstance]) -> tuple[int, int]:
        """Write all instances, whole or not at all; writing again replaces. Returns (instances, bytes).

        Raises:
            Unavailable: the bucket can't be written to, or is full, which is no verdict about the study; nothing of it
                is left.
        """
        key = self._study(run_id, order_number)
        with self._faults(), self._new_object(key) as file, tarfile.open(fileobj=file, mode="w") as tar:
            sizes = [_add_instance(tar, number, item) for number, item in enumerate(instances, 1)]
        return len(sizes), sum(sizes)

    def read(self, run_id: str, order_number: int) -> Iterator[EncodedInstance]:
        """The instances in the order they were written.

        Raises:
            NotFound: the study is not there, or is none; known before the first instance is handed out.
            TemporaryError: (while iterating) it was removed or replaced meanwhile.
            Unavailable: the bucket can't be read, now or while iterating.
        """
        key = self._study(run_id, order_number)
        try:
            with self._faults():
                file = self._files.open(key, "rb", block_size=_BLOCK)
                tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - it is read after this function's end
                first = tar.next()
        except _Missing as error:
            raise NotFound(f"study of order {order_number} of run {run_id} is not in the study store") from error
        except tarfile.TarError as error:
            raise NotFound(f"study of order {order_number} of run {run_id} can't be read: {error}") from error
        if first is None:
            raise NotFound(f"study of order {order_number} of run {run_id} is empty in the study store")
        return self._instances(tar, first)

    def remove(self, run_id: str, order_number: int | None = None) -> None:
        """Remove a study, or all of a run; nothing to do when it is not there.

        What can't be removed now stays, and the log tells of it: it is in nobody's way.
        """
        place = self._run(run_id) if order_number is None else self._study(run_id, order_number)
        try:
            with self._faults():
                if order_number is not None:
                    self._files.rm_file(place)
                elif keys := self._files.find(place):
                    self._files.rm(keys)
        except _Missing:  # the bucket
            return
        except Unavailable as error:
            _log.warning("study store: could not remove", place=place, error=str(error))

    def free_bytes(self) -> None:
        """A bucket does not tell."""

    def _run(self, run_id: str) -> str:
        return f"{self._root}/{run_name(run_id)}"

    def _study(self, run_id: str, order_number: int) -> str:
        return f"{self._run(run_id)}/{study_name(order_number)}.tar"

    @cached_property
    def _files(self) -> Any:
        """All buckets as folders. The library is loaded here, as that takes a second and most commands need none."""
        from s3fs import S3FileSystem

        files = S3FileSystem(
            client_kwargs={"region_name": os.environ.get("AWS_REGION")},  # the library reads AWS_DEFAULT_REGION only
            config_kwargs={
                "connect_timeout": _CONNECT_SECONDS,
                "read_timeout": _READ_SECONDS,
                "retries": {"mode": "standard", "total_max_attempts": _TRIES},
            },
            fixed_upload_size=True,  # some servers take parts of one size only
            use_listings_cache=False,  # others write there, too
            skip_instance_cache=True,  # it would be found again after its variables have changed
        )
        files.retries = _TRIES
        return files

    @contextmanager
    def _new_object(self, key: str) -> Iterator[Any]:
        """A file to write to. It becomes the object at the end, unless something was raised."""
        file = self._files.open(key, "wb", block_size=_BLOCK)
        try:
            yield file
            file.close()
        except BaseException:
            file.closed = True  # else it would still be stored, as far as it goes, when it is garbage
            _discard(file)
            raise

    def _instances(self, tar: tarfile.TarFile, first: tarfile.TarInfo) -> Iterator[EncodedInstance]:
        member: tarfile.TarInfo | None = first
        while member is not None:
            try:
                with self._faults():
                    instance = _read_instance(tar, member)
                    member = tar.next()
            except (_Missing, tarfile.TarError, ValueError) as error:
                raise TemporaryError(f"the study can't be read from the study store any more: {error}") from error
            yield instance

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Raises Unavailable for what went wrong on the way to the bucket, _Missing when something is not there."""
        from botocore.exceptions import BotoCoreError
        from s3fs.utils import FileExpired

        try:
            yield
        except (FileNotFoundError, FileExpired) as error:
            raise _Missing(f"the study store s3://{self._root}: {error}; is the bucket there?") from error
        except PermissionError as error:
            cure = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do"
            raise Unavailable(f"the study store s3://{self._root} refuses: {error}; {cure}") from error
        except (OSError, BotoCoreError) as error:
            cure = "check AWS_ENDPOINT_URL_S3, AWS_REGION and the credentials, or make room"
            raise Unavailable(f"the study store s3://{self._root} can't be used: {error}; {cure}") from error


class _Missing(Unavailable):
    """The bucket is not there, or, for who reads, the object is not, or not any more."""


def _add_instance(tar: tarfile.TarFile, number: int, instance: EncodedInstance) -> int:
    content = write_part10(instance) + instance.data
    member = tarfile.TarInfo(file_name(number))
    member.size = len(content)
    tar.addfile(member, BytesIO(content))
    return len(content)


def _read_instance(tar: tarfile.TarFile, member: tarfile.TarInfo) -> EncodedInstance:
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    return read_part10(file.read())


def _discard(file: Any) -> None:
    """Have the parts that were sent thrown away, if any; who waits for the error that led here comes first."""
    try:
        file.discard()
    except Exception as error:
        _log.warning("study store: parts of a study are left behind", key=file.path, error=str(error))
