"""The requestor's side of a connection for DICOM (PS3.8), for every adapter that associates: bytes with a time limit on
everything in ``streams``, whole PDUs in ``connection``, how long is waited for what in ``limits``, an association's end
in ``ending``.
"""

from app.adapters.upper_layer.connection import ConnectionLost, PduConnection
from app.adapters.upper_layer.ending import abort, release
from app.adapters.upper_layer.limits import TimeLimits

__all__ = ["ConnectionLost", "PduConnection", "TimeLimits", "abort", "release"]
