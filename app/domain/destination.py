"""Where orders and studies go: ``HOST:PORT`` for HL7 over MLLP, ``AET@HOST:PORT`` for DICOM."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Port = Annotated[int, Field(ge=1, le=65535)]
AETitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$")]

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:@/\[\]]+):(?P<port>\d{1,5})")


def parse_address(text: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``.

    Raises:
        ValueError: with what is wrong and an example.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise ValueError(f"{text!r} is not HOST:PORT; write for example localhost:2575")
    return match["host"].strip("[]"), int(match["port"])


class _Destination(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, max_length=253)
    port: Port
    tls: bool = Field(default=False, description="TLS with the CA and certificate of the server's settings")

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def key(self) -> str:
        """What all processes know the destination by."""
        return f"{'dicom' if isinstance(self, DicomDestination) else 'hl7'}:{self}"


class Hl7Destination(_Destination):
    """An HL7 v2 receiver over MLLP."""

    connections: int = Field(default=8, ge=1, le=256, description="persistent connections side by side")
    ack_timeout: float = Field(default=10.0, gt=0, le=600, description="seconds to wait for an acknowledgement")
    connect_timeout: float = Field(default=5.0, gt=0, le=60, description="seconds to wait for a connection")
    attempts: int = Field(default=3, ge=1, le=20, description="transmissions of one message before it counts as failed")
    on_unknown: Literal["resend", "fail"] = Field(
        default="resend", description="what to do when the outcome of a transmission is unknown"
    )
    patience: float = Field(
        default=600.0, ge=0, le=86_400, description="seconds to wait for a receiver that went away in mid-run"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            host, port = parse_address(value)
            return {"host": host, "port": port}
        return value

    def __str__(self) -> str:
        return self.address


class DicomDestination(_Destination):
    """A DICOM archive."""

    aet: AETitle = Field(description="called AE title")
    calling_aet: AETitle = Field(default="YEETER", description="calling AE title")
    association: Literal["reused", "per_study"] = Field(
        default="reused", description="reused: kept for up to 100 studies or 200 ms idle"
    )
    associations: int = Field(default=4, ge=1, le=64, description="parallel associations of one worker process")
    rate: float | None = Field(
        default=None, gt=0, le=10_000, description="most studies a second, of all workers together"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            aet, at, address = value.rpartition("@")
            if not at:
                raise ValueError(f"{value!r} is not AET@HOST:PORT; write for example ORTHANC@localhost:4242")
            host, port = parse_address(address)
            return {"aet": aet.strip(), "host": host, "port": port}
        return value

    def __str__(self) -> str:
        return f"{self.aet}@{self.address}"
