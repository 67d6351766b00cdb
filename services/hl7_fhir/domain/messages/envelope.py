"""What a message says on its envelope: the fields of MSH that decide who sent it and how it is answered.

They are read before the character set is known, each byte as one character, so that MSA-2 echoes MSH-10 whatever it is.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from services.hl7_fhir.domain.messages.message import Delimiters, header_line
from services.hl7_fhir.domain.messages.refusal import NotHl7

#: More fields than MSH of any version has, with room for a site's own (2.8: 25).
_MAX_FIELDS = 1_000
#: Characters of MSH-3, MSH-4, MSH-9 and MSH-12, which are looked into.
_MAX_LENGTH = 4_000
_PLAIN = Delimiters("|", "^", "~", "\\", "&")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The raw fields of MSH, empty where they were not sent; ``delimiters`` are those of the message.

    ``accept`` and ``application`` are MSH-15 and MSH-16 (table 0155); ``is_readable`` is False for what has no MSH.
    """

    delimiters: Delimiters = _PLAIN
    encoding: str = ""
    sender: str = field(default="", repr=False)
    facility: str = field(default="", repr=False)
    receiver: str = field(default="", repr=False)
    receiving_facility: str = field(default="", repr=False)
    kind: str = field(default="", repr=False)
    control_id: str = field(default="", repr=False)
    processing: str = ""
    version_id: str = ""
    accept: str = ""
    application: str = ""
    charset: str = ""
    is_readable: bool = False

    @classmethod
    def of(cls, content: bytes) -> "Envelope":
        """The envelope of ``content``; an empty one for what has no readable MSH."""
        try:
            line = header_line(content)
            marks = _delimiters(line[:9])
        except NotHl7:
            return cls()
        return cls._read(line, marks)

    @classmethod
    def _read(cls, line: str, marks: Delimiters) -> "Envelope":
        fields = line.split(marks.field, _MAX_FIELDS)
        fields += [""] * (18 - len(fields))
        if any(len(fields[position]) > _MAX_LENGTH for position in (2, 3, 8, 11)):
            return cls()
        return cls(
            delimiters=marks,
            encoding=fields[1],
            sender=fields[2],
            facility=fields[3],
            receiver=fields[4],
            receiving_facility=fields[5],
            kind=fields[8],
            control_id=fields[9],
            processing=fields[10],
            version_id=fields[11],
            accept=fields[14].strip().upper(),
            application=fields[15].strip().upper(),
            charset=fields[17],
            is_readable=True,
        )

    @property
    def type(self) -> str:
        """MSH-9.1, such as ``ADT``."""
        return self._component(self.kind, 0)

    @property
    def trigger(self) -> str:
        """MSH-9.2, such as ``A08``."""
        return self._component(self.kind, 1)

    @property
    def application_name(self) -> str:
        """MSH-3.1."""
        return self._component(self.sender, 0)

    @property
    def institution(self) -> str:
        """MSH-4.1."""
        return self._component(self.facility, 0)

    @property
    def version(self) -> str:
        """MSH-12.1, such as ``2.5.1``."""
        return self._component(self.version_id, 0)

    @property
    def is_enhanced(self) -> bool:
        """Whether the sender asks for enhanced acknowledgement: MSH-15 or MSH-16 is valued (section 2.9.3)."""
        return bool(self.accept or self.application)

    @property
    def is_acknowledgement(self) -> bool:
        """Whether it answers another message: nobody answers an answer (section 2.9.2)."""
        return self.type == "ACK"

    def _component(self, text: str, position: int) -> str:
        marks = self.delimiters
        parts = text.split(marks.repetition, 1)[0].split(marks.component, position + 1)
        return parts[position].split(marks.subcomponent, 1)[0].strip() if position < len(parts) else ""


@lru_cache(maxsize=64)
def _delimiters(beginning: str) -> Delimiters:
    return Delimiters.of(beginning)
