"""MLLP, the minimal lower layer protocol that carries HL7 v2 over TCP: framing, and a client for many connections.

It knows nothing of what a message says: the caller tells what an answer means (:data:`Classify`).
"""

from app.util.mllp.client import MllpClient
from app.util.mllp.exchange import Answer, Classify, Exchange, Policy
from app.util.mllp.framing import Deframer, FrameTooLong, frame
from app.util.mllp.link import Peer

__all__ = ["Answer", "Classify", "Deframer", "Exchange", "FrameTooLong", "MllpClient", "Peer", "Policy", "frame"]
