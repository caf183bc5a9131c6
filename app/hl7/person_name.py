"""Names of persons: XPN and XCN (HL7 v2 chapter 2, section 2.8).

XPN            family^given^middle^suffix^prefix
XCN         ID^family^given^middle^suffix^prefix
DICOM's PN     family^given^middle^prefix^suffix
"""

from __future__ import annotations

from app.domain.order import PersonName, Provider
from app.hl7.escaping import STANDARD, Delimiters


def xpn_text(name: PersonName) -> str:
    """The name as :func:`app.hl7.parsing.parse_message` reads it: components joined by ^ without trailing ones."""
    return "^".join(_parts(name)).rstrip("^")


def to_xpn(name: PersonName, delimiters: Delimiters = STANDARD) -> str:
    """The name as it stands in a message: escaped, without trailing empty components."""
    return delimiters.components(*_parts(name))


def to_xcn(provider: Provider, delimiters: Delimiters = STANDARD) -> str:
    """The provider as it stands in a message: the ID, and then the name."""
    return delimiters.components(provider.id, *_parts(provider.name))


def _parts(name: PersonName) -> tuple[str, str, str, str, str]:
    return name.family, name.given, name.middle, name.suffix, name.prefix
