"""The built-in HL7 receiver: acknowledges orders over MLLP, keeps a ledger of them, and can be asked for it."""

from app.receivers.mllp.lies import Lies
from app.receivers.mllp.program import MllpReceiverOptions, serve
from app.receivers.mllp.server import MllpReceiver

__all__ = ["Lies", "MllpReceiver", "MllpReceiverOptions", "serve"]
