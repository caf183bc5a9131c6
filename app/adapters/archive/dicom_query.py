"""ArchiveQuery by C-ECHO and C-FIND (study root, study level).

Names come in the character set of the archive's choice. Orthanc answers in its ``DefaultEncoding``, as installed
Latin-1, and leaves out every character that this lacks, however the instances are encoded.

A block of studies is handed on only when it is complete, and one whose answers were lost with the association is asked
for once more on a new one.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.adapters.archive.association import (
    PENDING,
    STUDY_ROOT_FIND,
    SUCCESS,
    VERIFICATION,
    Answer,
    AnswerLost,
    NoAssociation,
    NotOffered,
    QueryAssociation,
)
from app.adapters.archive.identifier import encode_query, read_answer
from app.adapters.upper_layer import TimeLimits
from app.domain import identity
from app.domain.destination import DicomDestination
from app.domain.errors import NotAnswerable, Unavailable, YeeterError
from app.domain.study import IMPLICIT_VR_LITTLE_ENDIAN, ArchivedStudy
from app.util.addresses import Resolve, resolve

_BLOCK_PREFIX: Final = 3  # characters of the order number that a block's orders share
_BLOCK: Final = 32 ** (identity.NUMBER_LENGTH - _BLOCK_PREFIX)
_ATTEMPTS: Final = 2


class DicomArchiveQuery:
    """Asks an archive over DICOM; see ``app.ports.ArchiveQuery`` for the contract."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, resolve: Resolve = resolve, limits: TimeLimits | None = None
    ) -> None:
        """``tls`` is used for destinations that ask for TLS; ``limits`` says how long an archive is waited for."""
        self._tls = tls
        self._limits = limits or TimeLimits()
        self._resolve = resolve

    def echo(self, destination: DicomDestination) -> None:
        not_offered = Unavailable(f"{destination} does not offer verification (C-ECHO)")
        with self._association(destination, VERIFICATION, not_offered) as assoc:
            try:
                status = assoc.echo()
            except AnswerLost as error:
                raise Unavailable(f"{destination} did not answer a C-ECHO: {error}") from error
        if status != SUCCESS:
            raise Unavailable(f"{destination} answered a C-ECHO with 0x{status:04X}")

    def studies(self, destination: DicomDestination, run_key: str, orders: int) -> Iterator[ArchivedStudy]:
        """The contract's studies; many orders are asked for in blocks of 1,024, since archives limit their answers."""
        not_offered = NotAnswerable(f"{destination} does not offer query (C-FIND, study root)")
        prefixes = _prefixes(run_key, orders)
        attempts = 0
        while prefixes:
            try:
                with self._association(destination, STUDY_ROOT_FIND, not_offered) as assoc:
                    while prefixes:
                        found = _find(assoc, destination, prefixes[0])
                        yield from found
                        del prefixes[0]
                        attempts = 0
            except AnswerLost as error:
                attempts += 1
                if attempts == _ATTEMPTS:
                    raise Unavailable(f"{destination} did not answer a C-FIND: {error}") from error

    @contextmanager
    def _association(
        self, destination: DicomDestination, sop_class_uid: str, not_offered: YeeterError
    ) -> Iterator[QueryAssociation]:
        """An association for one SOP class.

        Raises:
            Unavailable: not reached, rejected or aborted.
            not_offered: the peer rejected the SOP class.
        """
        tls = self._tls_of(destination)
        try:
            assoc = QueryAssociation.open(destination, sop_class_uid, tls, self._limits, self._resolve)
        except NotOffered as error:
            raise not_offered from error
        except NoAssociation as error:
            raise Unavailable(f"{destination}: {error}") from error
        try:
            yield assoc
        finally:
            assoc.close()

    def _tls_of(self, destination: DicomDestination) -> ssl.SSLContext | None:
        if not destination.tls:
            return None
        if self._tls is None:
            raise Unavailable(f"{destination} asks for TLS, but no CA file is set (set YEETER_TLS_CA_FILE)")
        return self._tls


def _prefixes(run_key: str, orders: int) -> list[str]:
    """What the accession numbers of orders 0 to ``orders`` begin with: the run key, or each block of it."""
    if orders < _BLOCK:
        return [run_key]
    return [run_key + identity.encode_number(first)[:_BLOCK_PREFIX] for first in range(0, orders + 1, _BLOCK)]


def _find(assoc: QueryAssociation, destination: DicomDestination, prefix: str) -> list[ArchivedStudy]:
    """Every study whose accession number begins with the prefix.

    Raises:
        AnswerLost: not all answers came.
        Unavailable: an answer says that something is wrong, or can't be read.
    """
    found = []
    implicit_vr = assoc.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    for answer in assoc.find(encode_query(prefix, assoc.transfer_syntax_uid)):
        if answer.status in PENDING and answer.identifier is not None:
            try:
                found.append(read_answer(answer.identifier, implicit_vr))
            except Exception as error:  # pydicom raises many kinds on bytes that are no data set
                reason = f"{destination} answered a C-FIND for {prefix}* with an identifier that can't be read"
                raise Unavailable(reason) from error
        elif answer.status != SUCCESS:
            raise Unavailable(f"{destination} answered a C-FIND for {prefix}* with {_described(answer)}")
    return found


def _described(answer: Answer) -> str:
    return f"0x{answer.status:04X}" + (f" ({answer.comment})" if answer.comment else "")
