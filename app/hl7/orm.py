"""ORM^O01 2.3.1 for imaging: MSH PID PV1 ORC OBR ZDS.

A message text is compiled once into constant and variable pieces, and an order fills the variable ones. Yeeter's own
message and a site's go through the same compiler.
"""

from __future__ import annotations

from app.domain.order import Order
from app.domain.template import Hl7
from app.hl7.character_set import codec_of, narrowest
from app.hl7.escaping import Delimiters
from app.hl7.message_text import read_message_text, tokens
from app.hl7.placeholders import OF_ORDER, OF_SENDER, WHOLE_FIELDS

_MSH = (
    r"MSH|^~\&|{sending_application}|{sending_facility}|{receiving_application}|{receiving_facility}|{message_time}|"
    "|ORM^O01|{control_id}|{processing_id}|2.3.1"
)
_PID = (
    "PID|1||{patient_id}^^^{issuer}&{issuer_uid}&ISO^PI||{patient_name}||{birth_date}|{sex}|||"
    "{street}^^{city}^^{postal_code}^{country}||{phone}"
)
_PV1 = "PV1|1|{patient_class}|{location}|||||{referring}|||||||||||{visit_number}"
_ORC = (
    "ORC|NW|{placer}^{issuer}|{filler}^{issuer}||SC||{quantity_timing}||{ordered_time}|||{ordering}|||||^{organisation}"
)
_OBR = (
    "OBR|1|{placer}^{issuer}|{filler}^{issuer}|"
    "{procedure_code}^{procedure_name}^{procedure_scheme}^{protocol_code}^{protocol_name}^{protocol_scheme}|||||||||"
    "{clinical_information}|||{ordering}||{accession}|{procedure_id}|{step_id}||||{modality}|||{quantity_timing}||||"
    "^{reason}|||||||||||||{procedure}"
)
_ZDS = "ZDS|{study_uid}^^Application^DICOM"
ORM_O01 = "\n".join((_MSH, _PID, _PV1, _ORC, _OBR, _ZDS))


class OrmRenderer:
    """Renders the order messages of one template. MSH-18 says the narrowest character set that holds the message.

    A site's text may declare a character set itself: then that one is used, and characters outside of it become ``?``.
    """

    def __init__(self, hl7: Hl7) -> None:
        """Compile the template's own message text, or Yeeter's.

        Raises:
            InvalidInput: everything that is wrong with ``hl7.message``.
        """
        header, *others = read_message_text(ORM_O01 if hl7.message is None else hl7.message)
        self._delimiters = Delimiters.declared_by(header)
        self._constants = {name: self._delimiters.escape(value(hl7)) for name, value in OF_SENDER.items()}
        self._pieces: list[str] = []
        self._positions: dict[str, list[int]] = {}
        self._compile_header(header)
        for segment in others:
            self._compile(segment + "\r")
        self._components = [(OF_ORDER[name], at) for name, at in self._positions.items() if name in OF_ORDER]
        self._fields = [(WHOLE_FIELDS[name], at) for name, at in self._positions.items() if name in WHOLE_FIELDS]

    def render(self, order: Order) -> bytes:
        """The message, in the character set it declares; every segment ends with CR."""
        pieces = self._pieces.copy()
        escape = self._delimiters.escape
        for value, positions in self._components:
            text = escape(value(order))
            for position in positions:
                pieces[position] = text
        for field, positions in self._fields:
            text = field(order, self._delimiters)
            for position in positions:
                pieces[position] = text
        return self._encode(pieces)

    def _encode(self, pieces: list[str]) -> bytes:
        message = "".join(pieces)
        if self._declared:
            return message.encode(codec_of(self._declared), "replace")
        character_set = narrowest(message)
        if character_set:
            pieces[self._character_set_at] = self._padding + character_set
            message = "".join(pieces)
        return message.encode(codec_of(character_set))

    def _compile_header(self, header: str) -> None:
        """MSH, with a piece of its own where MSH-18 belongs."""
        separator = self._delimiters.field
        fields = header.split(separator)
        before, after = _without_empty_end(fields[:17]), _without_empty_end(fields[18:])
        self._declared = fields[17].strip() if len(fields) > 17 else ""
        self._padding = separator * (18 - len(before))
        self._compile(separator.join(before))
        self._character_set_at = len(self._pieces)
        self._pieces.append(self._padding + self._declared if self._declared or after else "")
        self._compile("".join(separator + field for field in after) + "\r")

    def _compile(self, text: str) -> None:
        for token, is_placeholder in tokens(text):
            if is_placeholder and token not in self._constants:
                self._positions.setdefault(token, []).append(len(self._pieces))
            self._pieces.append(self._constants[token] if is_placeholder and token in self._constants else token)


def build_orm_o01(order: Order, hl7: Hl7) -> bytes:
    """One ORM^O01; for many, keep an :class:`OrmRenderer`."""
    return OrmRenderer(hl7).render(order)


def _without_empty_end(fields: list[str]) -> list[str]:
    count = len(fields)
    while count and not fields[count - 1]:
        count -= 1
    return fields[:count]
