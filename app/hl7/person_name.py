"""Names of persons: XPN and XCN (HL7 v2 chapter 2, section 2.8).

XPN            family^given^middle^suffix^prefix
XCN         ID^family^given^middle^suffix^prefix
DICOM's PN     family^given^middle^prefix^suffix
"""

from __future__ import annotations

from app.domain.order import PersonName


def xpn_text(name: PersonName) -> str:
    """The name as :func:`app.hl7.parsing.parse_message` reads it: components joined by ^ without trailing ones."""
    return "^".join((name.family, name.given, name.middle, name.suffix, name.prefix)).rstrip("^")
