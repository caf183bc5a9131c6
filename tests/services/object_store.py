"""A private server that speaks S3's protocol (moto's): on loopback and a free port, its objects in memory."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3  # type: ignore[import-untyped]

from tests.services.processes import Program, free_port

_REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/\S+ (?P<status>\d+)")  # of its log, colours or not


class ObjectStore:
    """A server that was started."""

    def __init__(self, program: Program, port: int) -> None:
        self._program = program
        self.environment = {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "yeeter",
            "AWS_SECRET_ACCESS_KEY": "quiet-Bucket/7",
            "AWS_REGION": "us-east-1",
        }
        self._client = boto3.client(
            "s3",
            region_name=self.environment["AWS_REGION"],
            endpoint_url=self.environment["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def new_bucket(self) -> str:
        """The name of a bucket that nobody else uses."""
        name = f"test-{uuid4().hex[:12]}"
        self._client.create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str) -> list[str]:
        """What is in a bucket."""
        return [item["Key"] for item in self._client.list_objects_v2(Bucket=bucket).get("Contents", ())]

    def uploads(self, bucket: str) -> list[str]:
        """Keys of what was begun in parts, and neither finished nor given up."""
        return [item["Key"] for item in self._client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]

    def content(self, bucket: str, key: str) -> bytes:
        return bytes(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def requests(self, bucket: str, method: str) -> set[str]:
        """Keys of this bucket that anybody asked for so, and got an answer about that was no error."""
        found = [match for line in self._program.output.splitlines() if (match := _REQUEST.search(line))]
        good = [match["path"] for match in found if match["method"] == method and match["status"].startswith("2")]
        return {path.removeprefix(f"/{bucket}/") for path in good if path.startswith(f"/{bucket}/")}


@contextlib.contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """A server that was started; ended, with what it keeps, at the end."""
    port = free_port()
    command = [sys.executable, "-m", "tests.services.object_store_server", str(port)]
    with (
        tempfile.TemporaryDirectory(prefix="yeeter-objects-") as folder,
        Program(command, Path(folder) / "server.log") as program,
    ):
        program.wait_for_line("Running on")
        yield ObjectStore(program, port)
