"""HL7 v2: messages, templates of messages, escaping and acknowledgements. Pure: bytes in, bytes out."""
