"""The associations of this process, kept for the next study and shared by its threads.

Each destination has at most ``destination.associations`` of them; a thread that finds none free waits its turn, first
come, first served. Three things end an association: it served its number of studies, it grew old, or it was idle for a
moment. The last one is done by a thread of its own, because peers such as a stock dcmtk ``storescp`` serve a single
association at a time: one that is kept idle locks everybody else out.

Such peers also make a second association of the same process wait in their backlog until the first one ends. That is
no fault, but waiting is pointless while the first one could be shared. So a thread that has waited ``patience`` seconds
for an association, while the process holds another one to that destination, gives the attempt up, lowers the
destination's limit to the number that are established, and queues for those. It does the same at once when the peer
rejects the association for now, as peers do that have reached their own limit. The limit rises again by one every
``recovery`` seconds, so a peer that was only slow gets its parallel associations back. What the peer counts may also be
a request of ours that it is just rejecting, or an association that we have just ended: then the thread tries again for
a moment. Otherwise a rejection is the destination's fault, and for others to deal with.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from app.adapters.senders.dimse.association import (
    Association,
    AssociationFault,
    RejectedForNow,
    Syntaxes,
)
from app.adapters.senders.dimse.negotiation import PendingAssociation
from app.adapters.upper_layer import TimeLimits
from app.dicom.network.pdu import MAX_CONTEXTS
from app.domain.destination import DicomDestination
from app.domain.errors import TransportFault
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from app.util.addresses import Resolve, resolve

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
CR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.1"
DX_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.1.1"
USUAL_SOP_CLASSES = (CT_IMAGE_STORAGE, MR_IMAGE_STORAGE, CR_IMAGE_STORAGE, DX_IMAGE_STORAGE)

_SHORTEST_WAIT: Final = 0.01  # seconds
_REJECTED_PAUSE: Final = 0.25  # seconds

_Ticket: TypeAlias = threading.Condition  # of a thread that waits: the pool's lock, and a wake-up of its own


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How long a reused association is kept, and when a thread shares one in place of opening another. In seconds."""

    studies: int = 100
    age: float = 10.0
    idle: float = 0.2
    patience: float = 1.0
    recovery: float = 30.0
    counted: float = 3.0  # that a peer may count an association against its limit after the end of it


@dataclass(slots=True, eq=False)
class _Site:
    """What the pool knows about one destination. Guarded by the pool's lock, as is everything it refers to."""

    destination: DicomDestination
    limit: int  # associations that may exist now, at most destination.associations
    limit_rises_at: float = 0.0
    counted_until: float = 0.0  # when the peer has noticed the end of our latest one
    existing: int = 0  # being opened, lent or idle
    established: int = 0  # lent or idle
    idle: list[Lease] = field(default_factory=list)  # longest idle first
    queue: deque[_Ticket] = field(default_factory=deque)
    syntaxes: dict[Syntaxes, None] = field(default_factory=dict)  # needed so far, the latest last

    def wake_first(self) -> None:
        """Something changed for those that wait; it is the turn of the first one, which wakes the next."""
        if self.queue:
            self.queue[0].notify()

    def note_need(self, syntaxes: Syntaxes) -> None:
        """An instance of this kind is about to be sent: propose it for the associations to come."""
        self.syntaxes.pop(syntaxes, None)
        self.syntaxes[syntaxes] = None


@dataclass(slots=True, eq=False)
class Lease:
    """An association lent to one thread until it gives it back."""

    association: Association
    site: _Site
    opened_at: float
    studies: int = 0
    idle_since: float = 0.0


class AssociationPool:
    """Lends associations. Thread-safe."""

    def __init__(
        self, tls: ssl.SSLContext | None, time_limits: TimeLimits, limits: PoolLimits, resolve: Resolve = resolve
    ) -> None:
        self._tls = tls
        self._resolve = resolve
        self._time_limits = time_limits
        self._limits = limits
        self._lock = threading.Lock()
        self._idled = threading.Condition(self._lock)  # wakes the reaper
        self._sites: dict[DicomDestination, _Site] = {}
        self._reaper: threading.Thread | None = None
        self._reaper_sleeps = False  # until an association goes idle
        self._closed = False

    def acquire(self, destination: DicomDestination, syntaxes: Syntaxes, deadline: float) -> Lease:
        """An association that was negotiated for this pair of SOP class and transfer syntax, accepted or not.

        Raises:
            AssociationFault: none could be opened this time or came free until ``deadline``, or the pool was closed.
            TransportFault: the destination will never take one as we are set up.
        """
        while True:
            with self._lock:
                site = self._site(destination)
                site.note_need(syntaxes)
                kept = self._await_turn(site, deadline)
            if kept is None:
                try:
                    opened = self._open(site, deadline)
                except RejectedForNow:
                    if not self._may_be_counted(site):
                        raise
                    time.sleep(_REJECTED_PAUSE)
                    continue
                if opened is not None:
                    return opened
            elif kept.association.proposed(syntaxes) and not self._worn_out(kept):
                return kept
            else:
                self._end(kept)

    def give_back(self, lease: Lease) -> None:
        """The study is done, or its association was lost: then it is not lent again."""
        lease.studies += 1
        lease.idle_since = time.monotonic()
        if lease.site.destination.association == "per_study" or self._is_spent(lease, lease.idle_since):
            self._end(lease)
            return
        with self._lock:
            if not self._closed:
                lease.site.idle.append(lease)
                lease.site.wake_first()
                self._wake_reaper()
                return
        self._end(lease)

    def replace(self, lease: Lease) -> None:
        """It lacks a presentation context that is needed now: end it."""
        self._end(lease)

    def close(self) -> None:
        """Release the idle associations; those that are lent end when they are given back."""
        with self._lock:
            self._closed = True
            reaper = self._reaper
            self._idled.notify_all()
            for site in self._sites.values():
                site.wake_first()
        if reaper is not None:
            reaper.join()

    # --- Lending ------------------------------------------------------------------------------------------------------

    def _site(self, destination: DicomDestination) -> _Site:
        """With the lock held."""
        site = self._sites.get(destination)
        if site is None:
            if destination.tls and self._tls is None:
                text = f"{destination} asks for TLS, but no CA file is set (set YEETER_TLS_CA_FILE)"
                raise TransportFault(text, misconfigured=True)
            site = self._sites[destination] = _Site(destination, destination.associations)
        return site

    def _await_turn(self, site: _Site, deadline: float) -> Lease | None:
        """With the lock held: an idle association, or None when there is room for another one, reserved for us."""
        if not site.queue and self._can_serve(site):
            return self._serve(site)
        ticket = _Ticket(self._lock)
        site.queue.append(ticket)
        try:
            while site.queue[0] is not ticket or not self._can_serve(site):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise AssociationFault(f"all {site.existing} associations stayed busy")
                ticket.wait(remaining)
            return self._serve(site)
        finally:
            site.queue.remove(ticket)
            site.wake_first()

    def _can_serve(self, site: _Site) -> bool:
        """Whether there is something for the first one in the queue.

        Raises:
            AssociationFault: there will never be, nor for anybody else.
        """
        if self._closed:
            raise AssociationFault("the sender was closed")
        return bool(site.idle) or site.existing < self._current_limit(site)

    def _serve(self, site: _Site) -> Lease | None:
        if site.idle:
            return site.idle.pop()
        site.existing += 1
        return None

    def _current_limit(self, site: _Site) -> int:
        now = time.monotonic()
        if site.limit < site.destination.associations and now >= site.limit_rises_at:
            site.limit += 1
            site.limit_rises_at = now + self._limits.recovery
        return site.limit

    def _open(self, site: _Site, deadline: float) -> Lease | None:
        """A new association, or None when the attempt was given up in favour of those that exist."""
        association = None
        try:
            association = self._negotiate(site, deadline)
        finally:
            with self._lock:
                if association is None:
                    site.existing -= 1
                    if site.existing:
                        site.counted_until = time.monotonic() + self._limits.counted
                else:
                    site.established += 1
                site.wake_first()
        return None if association is None else Lease(association, site, time.monotonic())

    def _negotiate(self, site: _Site, deadline: float) -> Association | None:
        tls = self._tls if site.destination.tls else None
        syntaxes = self._syntaxes_to_propose(site)
        pending = PendingAssociation(site.destination, syntaxes, tls, self._time_limits, deadline, self._resolve)
        started = time.monotonic()
        give_up_at = min(deadline, started + self._time_limits.acse)
        while True:
            try:
                association = pending.wait(min(give_up_at, time.monotonic() + self._limits.patience))
            except RejectedForNow:
                if self._shares_instead(site):
                    return None
                raise
            if association is not None:
                return association
            if self._shares_instead(site):
                pending.abandon()
                return None
            if time.monotonic() >= give_up_at:
                pending.abandon()
                raise AssociationFault(f"no answer to the association request in {give_up_at - started:.0f} s")

    def _shares_instead(self, site: _Site) -> bool:
        with self._lock:
            if site.established:
                site.limit = site.established
                site.limit_rises_at = time.monotonic() + self._limits.recovery
            return site.established > 0 or self._closed

    def _may_be_counted(self, site: _Site) -> bool:
        """Whether a peer that rejects an association for now may count others of ours: open, or just ended."""
        with self._lock:
            if site.existing:
                site.limit = site.existing
                site.limit_rises_at = time.monotonic() + self._limits.recovery
            return site.existing > 0 or time.monotonic() < site.counted_until

    def _syntaxes_to_propose(self, site: _Site) -> list[Syntaxes]:
        """What instances needed so far, the usual SOP classes, and the default transfer syntax of each (PS3.5 10.1)."""
        with self._lock:
            needed = reversed(list(site.syntaxes))
        pairs = dict.fromkeys(needed)
        pairs.update(dict.fromkeys((sop_class, EXPLICIT_VR_LITTLE_ENDIAN) for sop_class in USUAL_SOP_CLASSES))
        pairs.update(dict.fromkeys((sop_class, IMPLICIT_VR_LITTLE_ENDIAN) for sop_class, _ in list(pairs)))
        return list(pairs)[:MAX_CONTEXTS]

    # --- Ending -------------------------------------------------------------------------------------------------------

    def _worn_out(self, lease: Lease) -> bool:
        """Also true of one that the peer ended meanwhile."""
        return self._is_spent(lease, time.monotonic()) or not lease.association.is_usable

    def _is_spent(self, lease: Lease, now: float) -> bool:
        age = now - lease.opened_at
        return lease.studies >= self._limits.studies or age >= self._limits.age or not lease.association.is_settled

    def _end(self, lease: Lease) -> None:
        if lease.association.is_usable:
            lease.association.release()
        else:
            lease.association.abort()
        with self._lock:
            lease.site.existing -= 1
            lease.site.established -= 1
            lease.site.counted_until = time.monotonic() + self._limits.counted
            lease.site.wake_first()

    def _wake_reaper(self) -> None:
        """With the lock held: an association went idle."""
        if self._reaper is None:
            self._reaper = threading.Thread(target=self._reap, name="dimse-idle", daemon=True)
            self._reaper.start()
        elif self._reaper_sleeps:
            self._idled.notify()

    def _reap(self) -> None:
        while True:
            with self._lock:
                expired = self._take_expired()
                if not expired:
                    if self._closed:
                        return
                    self._wait_for_expiry()
            for lease in expired:
                self._end(lease)

    def _take_expired(self) -> list[Lease]:
        now = time.monotonic()
        expired = []
        for site in self._sites.values():
            while site.idle and (self._closed or now >= site.idle[0].idle_since + self._limits.idle):
                expired.append(site.idle.pop(0))
        return expired

    def _wait_for_expiry(self) -> None:
        """Until the longest idle one may expire. What goes idle meanwhile expires later, so it need not wake anybody:
        a wake-up for every study would cost more than the study's own share of the pool.
        """
        since = [site.idle[0].idle_since for site in self._sites.values() if site.idle]
        lent = any(site.established for site in self._sites.values())
        earliest = min(since, default=time.monotonic()) + self._limits.idle
        self._reaper_sleeps = not since and not lent
        self._idled.wait(None if self._reaper_sleeps else max(_SHORTEST_WAIT, earliest - time.monotonic()))
        self._reaper_sleeps = False
