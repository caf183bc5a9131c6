"""C-ECHO by pynetdicom: whether an archive that gives us no answer gives one to others.

Our requestor is our own. Where it gets no answer, one that many use tells an archive that is away, or set up otherwise,
from a defect of ours.
"""

from __future__ import annotations

import ssl
from typing import Final

from pynetdicom import AE
from pynetdicom.sop_class import Verification

from app.domain.destination import DicomDestination

_SECONDS: Final = 5.0  # for each part
_SUCCESS: Final = 0x0000


def answers_others(destination: DicomDestination, tls: ssl.SSLContext | None) -> bool:
    """Whether pynetdicom's C-ECHO is answered with success; ``tls`` is used for destinations that ask for TLS."""
    ae = AE(ae_title=destination.calling_aet)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _SECONDS
    ae.add_requested_context(Verification)
    secured = (tls, destination.host) if destination.tls and tls is not None else None
    try:
        association = ae.associate(destination.host, destination.port, ae_title=destination.aet, tls_args=secured)
    except OSError:
        return False
    if not association.is_established:
        return False
    answer = association.send_c_echo()  # an empty data set where none came
    association.release()
    return bool(answer.get("Status") == _SUCCESS)
