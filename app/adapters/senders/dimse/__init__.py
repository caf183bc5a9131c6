"""C-STORE over sockets, written for throughput: C-STORE's command sets in ``command``, they and PDUs together for
the hot path in ``messages``; time limits in ``streams``, whole PDUs in ``connection``; an association is asked for in
``negotiation`` and used in ``association``, many of them in ``pool``; the port's adapter is in ``sender``.
"""

from app.adapters.senders.dimse.association import TimeLimits
from app.adapters.senders.dimse.pool import PoolLimits
from app.adapters.senders.dimse.sender import DimseStudySender

__all__ = ["DimseStudySender", "PoolLimits", "TimeLimits"]
