"""C-STORE over sockets, written for throughput: C-STORE's command sets in ``command``, they and PDUs together for
the hot path in ``messages``; an association is asked for in ``negotiation`` and used in ``association``, many of them
in ``pool``; the port's adapter is in ``sender``.
"""

from app.adapters.senders.dimse.pool import PoolLimits
from app.adapters.senders.dimse.sender import DimseStudySender
from app.adapters.upper_layer import TimeLimits

__all__ = ["DimseStudySender", "PoolLimits", "TimeLimits"]
