"""Network communication (PS3.7, PS3.8) as bytes, for both sides: PDUs in ``pdu``, messages cut into them in
``fragments``, command sets in ``command_set``. Who talks to whom, and over what, is not known here.
"""
