"""A storage SCP on pynetdicom, the independent implementation that our sender is tested against."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN
from tests.contract.instances import CT_IMAGE_STORAGE
from tests.contract.pynetdicom_server import PynetdicomServer


class ReferenceScp:
    """Stores CT images in Explicit VR Little Endian, unless told otherwise; counts associations.

    Args:
        answer: the status, or a data set with one, for each C-STORE's event.
        contexts: pairs of SOP class and transfer syntax that are accepted.
        called_aet: reject associations that call another AE title.
        maximum: associations at a time; more are rejected, transient.
    """

    aet = "REFERENCE"

    def __init__(
        self,
        answer: Callable[[Any], int | Dataset] = lambda event: 0,
        contexts: tuple[tuple[str, str], ...] = ((CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN),),
        check_called_aet: bool = False,
        maximum: int = 100,
    ) -> None:
        self.accepted = 0
        self.ended: list[str] = []  # how each association ended: EVT_RELEASED, EVT_ABORTED
        self.most_at_once = 0
        self._open = 0
        self._answer = answer
        self._changed = threading.Condition()
        self._ae = AE(ae_title=self.aet)
        self._ae.maximum_associations = maximum
        self._ae.require_called_aet = check_called_aet
        for sop_class, transfer_syntax in contexts:
            self._ae.add_supported_context(sop_class, transfer_syntax)

    @property
    def address(self) -> str:
        return f"{self.aet}@127.0.0.1:{self._server.port}"

    def wait_until_ended(self, count: int, seconds: float = 10.0) -> None:
        """Until so many associations have ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ended) >= count, seconds), f"only {self.ended}"

    def __enter__(self) -> Self:
        handlers = [
            (evt.EVT_C_STORE, lambda event: self._answer(event)),
            (evt.EVT_ACCEPTED, self._note_accepted),
            (evt.EVT_RELEASED, self._note_ended),
            (evt.EVT_ABORTED, self._note_ended),
        ]
        self._server = PynetdicomServer(self._ae, handlers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def _note_accepted(self, event: Any) -> None:
        with self._changed:
            self.accepted += 1
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)

    def _note_ended(self, event: Any) -> None:
        with self._changed:
            self.ended.append(event.event.name)
            self._open -= 1
            self._changed.notify_all()
