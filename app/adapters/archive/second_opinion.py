"""C-ECHO by pynetdicom: whether an archive that gives us no answer gives one to others.

Our requestor is our own. Where it gets no answer, one that many use tells an archive that is away, or set up otherwise,
from what may be a defect of ours.
"""

from __future__ import annotations

import ssl
from typing import Final

from pynetdicom import AE
from pynetdicom.sop_class import Verification

from app.domain.destination import DicomDestination
from app.util.addresses import Resolve, resolve

_SECONDS: Final = 5.0  # for each part
_SUCCESS: Final = 0x0000


def answers_others(destination: DicomDestination, tls: ssl.SSLContext | None, resolve: Resolve = resolve) -> bool:
    """Whether pynetdicom's C-ECHO is answered with success; ``tls`` is used for destinations that ask for TLS."""
    if destination.tls and tls is None:
        return False
    try:
        return any(
            _echo(destination, str(address[0]), tls) for *_, address in resolve(destination.host, destination.port)
        )
    except (OSError, RuntimeError, ValueError):  # also: no such name, and an abort between association and request
        return False


def _echo(destination: DicomDestination, address: str, tls: ssl.SSLContext | None) -> bool:
    ae = AE(ae_title=destination.calling_aet)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _SECONDS
    ae.add_requested_context(Verification)
    secured = (tls, destination.host) if destination.tls else None
    association = ae.associate(address, destination.port, ae_title=destination.aet, tls_args=secured)
    if not association.is_established:
        return False
    answer = association.send_c_echo()  # an empty data set where none came
    association.release()
    return bool(answer.get("Status") == _SUCCESS)
