"""ORM^O01 2.3.1 for imaging: MSH PID PV1 ORC OBR ZDS.

A message text is compiled once into constant and variable pieces, and an order fills the variable ones. Yeeter's own
message and a site's go through the same compiler.
"""

from __future__ import annotations

from operator import attrgetter, itemgetter

from app.domain.order import Order
from app.domain.template import Hl7
from app.hl7.character_set import codec_of, narrowest
from app.hl7.escaping import Delimiters
from app.hl7.message_text import read_message_text, tokens
from app.hl7.placeholders import COMPONENTS, FORMATS, OF_SENDER, WHOLE_FIELDS, Constant

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

_CHARACTER_SET = "MSH-18"  # where it belongs, among the attributes

# What a message is made of: an attribute of the order, a constant, or a whole field of both.
_Piece = str | Constant | tuple[str | Constant, ...]


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
        self._senders = {name: Constant(self._delimiters.escape(value(hl7))) for name, value in OF_SENDER.items()}
        pieces = self._compile_header(header)
        for segment in others:
            pieces += self._compile(segment + "\r")
        self._arrange(pieces)

    def render(self, order: Order) -> bytes:
        """The message, in the character set it declares; every segment ends with CR."""
        attributes = [*self._attributes(order)]
        for position, text_of in self._formats:
            attributes[position] = text_of(attributes[position])
        values = self._delimiters.escape_each(attributes)
        values += self._constants
        component = self._delimiters.component
        for components_of in self._fields:
            values.append(component.join(components_of(values)).rstrip(component))
        return self._encode(values)

    def _encode(self, values: list[str]) -> bytes:
        message = "".join(self._layout(values))
        if self._declared:
            return message.encode(codec_of(self._declared), "replace")
        character_set = narrowest(message)
        if character_set:
            values[self._character_set_at] = self._padding + character_set
            message = "".join(self._layout(values))
        return message.encode(codec_of(character_set))

    def _compile_header(self, header: str) -> list[_Piece]:
        """MSH, with a piece of its own where MSH-18 belongs."""
        separator = self._delimiters.field
        fields = header.split(separator)
        before, after = _without_empty_end(fields[:17]), _without_empty_end(fields[18:])
        self._declared = fields[17].strip() if len(fields) > 17 else ""
        self._padding = separator * (18 - len(before))
        self._character_set = self._padding + self._declared if self._declared or after else ""
        return [
            *self._compile(separator.join(before)),
            _CHARACTER_SET,
            *self._compile("".join(separator + field for field in after) + "\r"),
        ]

    def _compile(self, text: str) -> list[_Piece]:
        return [self._piece(token) if is_placeholder else Constant(token) for token, is_placeholder in tokens(text)]

    def _piece(self, placeholder: str) -> _Piece:
        return self._senders.get(placeholder) or COMPONENTS.get(placeholder) or WHOLE_FIELDS[placeholder]

    def _arrange(self, pieces: list[_Piece]) -> None:
        """Decide where :meth:`render` has each value: attributes, constants, the character set, whole fields."""
        fields = list(dict.fromkeys(piece for piece in pieces if isinstance(piece, tuple)))
        parts = dict.fromkeys(part for piece in pieces for part in (piece if isinstance(piece, tuple) else (piece,)))
        attributes = [part for part in parts if isinstance(part, str) and part != _CHARACTER_SET]
        constants = [part for part in parts if isinstance(part, Constant)]
        at = {piece: index for index, piece in enumerate((*attributes, *constants, _CHARACTER_SET, *fields))}
        self._attributes = attrgetter(*attributes)  # several: each message has its control ID and accession number
        self._formats = [(at[path], text_of) for path, text_of in FORMATS.items() if path in at]
        self._constants = [*(constant.text for constant in constants), self._character_set]
        self._character_set_at = at[_CHARACTER_SET]
        self._fields = [itemgetter(*(at[part] for part in field)) for field in fields]
        self._layout = itemgetter(*(at[piece] for piece in pieces))


def build_orm_o01(order: Order, hl7: Hl7) -> bytes:
    """One ORM^O01; for many, keep an :class:`OrmRenderer`."""
    return OrmRenderer(hl7).render(order)


def _without_empty_end(fields: list[str]) -> list[str]:
    count = len(fields)
    while count and not fields[count - 1]:
        count -= 1
    return fields[:count]
