"""Studies in a bucket: one object a study, and what a server that refuses, is full or is away means for a job."""

from __future__ import annotations

import gc
import importlib.util
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread

import pytest
from pydicom import dcmread

from app.adapters.study_store.object_store import ObjectStudyStore
from app.dicom.study import generate_study
from app.domain.errors import InvalidInput, NotFound, TemporaryError, TransportFault, Unavailable
from app.domain.retry import RetryPolicy
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from app.runs.working.consequences import Again, report_on, what_follows
from tests.contract.stored_studies import RUN, contents, instances
from tests.services.object_store import ObjectStore
from tests.services.processes import free_port
from tests.unit.dicom_orders import one_of

MIB = 2**20


@pytest.fixture
def store(bucket: str) -> ObjectStudyStore:
    return ObjectStudyStore(f"s3://{bucket}/some/studies")


def large(count: int, size: int) -> Iterator[EncodedInstance]:
    for number in range(1, count + 1):
        yield EncodedInstance("1.2.3", f"2.25.{number}", EXPLICIT_VR_LITTLE_ENDIAN, bytes([number]) * size)


@contextmanager
def answering(status: int, code: str, message: str) -> Iterator[str]:
    """A server that says this to everything; its address."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # who wants to send a body asks first

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_study_is_one_archive_of_files_that_any_viewer_reads(
    store: ObjectStudyStore, object_store: ObjectStore, bucket: str
) -> None:
    order = one_of("CT", "HEAD", instances=2)
    count, size = store.write(RUN, order.number, generate_study(order))
    key = f"some/studies/{RUN}/{order.number}.tar"
    assert object_store.keys(bucket) == [key]
    with tarfile.open(fileobj=BytesIO(object_store.content(bucket, key))) as tar:
        files = tar.getmembers()
        first = tar.extractfile(files[0])
        assert first is not None and dcmread(first).PatientID == order.patient.patient_id
    assert [file.name for file in files] == [f"{number:05d}.dcm" for number in range(1, count + 1)]
    assert sum(file.size for file in files) == size


def test_the_same_study_is_the_same_bytes(store: ObjectStudyStore, object_store: ObjectStore, bucket: str) -> None:
    """So one that is written again while it is read stays what it was."""
    store.write(RUN, 7, instances(3))
    before = object_store.content(bucket, f"some/studies/{RUN}/7.tar")
    store.write(RUN, 7, instances(3))
    assert object_store.content(bucket, f"some/studies/{RUN}/7.tar") == before


def test_a_large_study_is_sent_in_parts_and_taken_one_instance_at_a_time(
    store: ObjectStudyStore, object_store: ObjectStore, bucket: str
) -> None:
    begun = []

    def watched() -> Iterator[EncodedInstance]:
        for instance in large(4, 5 * MIB):
            begun.append(len(object_store.uploads(bucket)))
            yield instance

    store.write(RUN, 7, watched())
    assert begun == [0, 0, 1, 1]
    assert [bytes(instance.data) for instance in store.read(RUN, 7)] == [one.data for one in large(4, 5 * MIB)]


def test_a_large_study_that_fails_halfway_leaves_nothing(
    store: ObjectStudyStore, object_store: ObjectStore, bucket: str
) -> None:
    def failing() -> Iterator[EncodedInstance]:
        yield from large(3, 5 * MIB)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        store.write(RUN, 7, failing())
    gc.collect()  # a file that is forgotten is closed, and what is closed would be stored
    assert object_store.keys(bucket) == object_store.uploads(bucket) == []


def test_a_large_study_that_is_replaced_while_it_is_read_is_no_mixture(store: ObjectStudyStore) -> None:
    store.write(RUN, 7, large(4, 5 * MIB))
    reading = store.read(RUN, 7)
    next(reading)
    store.write(RUN, 7, large(3, 6 * MIB))
    with pytest.raises(TemporaryError, match=r"can't be read from the study store"):
        list(reading)
    assert len(list(store.read(RUN, 7))) == 3


def test_a_large_study_that_is_removed_while_it_is_read(store: ObjectStudyStore) -> None:
    store.write(RUN, 7, large(4, 5 * MIB))
    reading = store.read(RUN, 7)
    next(reading)
    store.remove(RUN, 7)
    with pytest.raises(TemporaryError):
        list(reading)


@pytest.mark.parametrize("content", [b"", b"x" * 2000], ids=["empty", "something else"])
def test_an_object_that_is_no_study_is_not_found(
    store: ObjectStudyStore, object_store: ObjectStore, bucket: str, content: bytes
) -> None:
    object_store.put(bucket, f"some/studies/{RUN}/7.tar", content)
    with pytest.raises(NotFound):
        store.read(RUN, 7)


def test_a_study_without_instances_can_be_written_and_is_not_found(store: ObjectStudyStore) -> None:
    """As `yeeter doctor` does."""
    assert store.write(RUN, 7, ()) == (0, 0)
    with pytest.raises(NotFound, match="is empty"):
        store.read(RUN, 7)


def test_removing_a_run_leaves_its_neighbours(store: ObjectStudyStore, object_store: ObjectStore, bucket: str) -> None:
    for run in ("a", "ab", "a-b"):
        store.write(run, 1, instances(1))
    store.remove("a")
    assert object_store.keys(bucket) == ["some/studies/a-b/1.tar", "some/studies/ab/1.tar"]


def test_the_bucket_alone_will_do(bucket: str, object_store: ObjectStore) -> None:
    store = ObjectStudyStore(f"s3://{bucket}/")
    store.write(RUN, 7, instances(2))
    assert object_store.keys(bucket) == [f"{RUN}/7.tar"]
    assert contents(store) == instances(2)


def costs_no_attempt(error: Exception) -> bool:
    """And is not held against the archive that the study was meant for."""
    follows = what_follows(error, RetryPolicy(), attempts=0, waited_seconds=0)
    return isinstance(follows, Again) and follows.cause == "transport" and not report_on("PACS", error, is_probe=False)


def told(action: Callable[[], object]) -> Exception:
    with pytest.raises(Unavailable) as caught:
        action()
    assert not isinstance(caught.value, TransportFault) and "\n" not in str(caught.value)
    return caught.value


def test_a_bucket_that_is_not_there(bucket: str) -> None:
    store = ObjectStudyStore(f"s3://{bucket}-not/studies")
    error = told(lambda: store.write(RUN, 7, instances(1)))
    assert "is the bucket there?" in str(error) and costs_no_attempt(error)
    with pytest.raises(NotFound):
        store.read(RUN, 7)
    store.remove(RUN, 7)
    store.remove(RUN)


@pytest.mark.parametrize(
    ("status", "code", "cure"),
    [
        (507, "XMinioStorageFull", "make room"),
        (403, "QuotaExceeded", "make room"),
        (403, "AccessDenied", "check AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "check AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_bucket_that_takes_nothing_costs_no_attempt(
    store: ObjectStudyStore, monkeypatch: pytest.MonkeyPatch, status: int, code: str, cure: str
) -> None:
    with answering(status, code, "the server's own reason") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        error = told(lambda: store.write(RUN, 7, instances(1)))
        assert "the server's own reason" in str(error) and cure in str(error)
        assert costs_no_attempt(error)
        store.remove(RUN, 7)
        store.remove(RUN)


def test_a_server_that_is_away_costs_no_attempt(store: ObjectStudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    for action in (lambda: store.write(RUN, 7, instances(1)), lambda: store.read(RUN, 7)):
        error = told(action)
        assert "check AWS_ENDPOINT_URL_S3" in str(error) and costs_no_attempt(error)
    store.remove(RUN, 7)


def test_credentials_that_are_missing_are_told(store: ObjectStudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    assert "credentials" in str(told(lambda: store.write(RUN, 7, instances(1))))


@pytest.mark.parametrize(
    "location",
    ["s3://", "s3:///x", "s3://Bucket", "s3://b/x", "s3://bucket/a b", "s3://key:secret@bucket/x", "gs://bucket/x"],
)
def test_an_address_that_is_none_is_refused(location: str) -> None:
    with pytest.raises(InvalidInput, match="YEETER_STUDY_STORE: not the address of a bucket") as caught:
        ObjectStudyStore(location)
    assert "secret" not in str(caught.value) and "(give s3://BUCKET/PREFIX, or a folder)" in str(caught.value)


def test_without_the_library_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput) as caught:
        ObjectStudyStore("s3://bucket/studies")
    assert str(caught.value) == (
        "YEETER_STUDY_STORE: s3://bucket/studies needs the library s3fs (pip install 'hl7-yeeter[object-store]')"
    )
