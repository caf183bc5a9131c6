"""Network communication (PS3.7, PS3.8) as bytes, for both sides: PDUs in ``pdu``, messages cut into them in
``fragments`` and put together in ``messages``, command sets in ``command_set``, identifiers of queries in
``identifiers``, what a peer's refusal means in ``reasons``. Who talks to whom, and over what, is not known here.
"""
