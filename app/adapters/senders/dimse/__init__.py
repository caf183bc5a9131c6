"""C-STORE over blocking sockets, written for throughput: bytes in ``pdu`` and ``command``, time limits in
``connection``, one association in ``association``, many of them in ``pool``, and the port's adapter in ``sender``.
"""

from app.adapters.senders.dimse.association import TimeLimits
from app.adapters.senders.dimse.pool import PoolLimits
from app.adapters.senders.dimse.sender import DimseStudySender

__all__ = ["DimseStudySender", "PoolLimits", "TimeLimits"]
