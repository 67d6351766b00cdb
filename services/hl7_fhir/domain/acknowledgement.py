"""The answer to a message: MSH, MSA and, where something was wrong, ERR (HL7 v2 chapter 2, sections 2.9 and 2.14.5).

The answer is built from the raw header, byte by byte as it came, so that MSA-2 echoes MSH-10 whatever its character
set. It never holds any other value of the message: ERR names a segment, a field and a condition.
"""

from dataclasses import dataclass, field
from datetime import datetime

from services.hl7_fhir.domain.message import Delimiters, Segment, header_of
from services.hl7_fhir.domain.refusal import CONDITIONS, Place, Refused

_PLAIN_HEADER = r"MSH|^~\&|||||||||P|2.5"


@dataclass(frozen=True)
class Trouble:
    """What ERR tells: a condition of table 0357, the reason's code and where in the message."""

    condition: str
    reason: str
    place: Place = field(default_factory=Place)


def acknowledge(content: bytes, code: str, now: datetime, control_id: str, trouble: Trouble | None = None) -> bytes:
    """The acknowledgement of ``content`` with ``code`` of table 0008, in the sender's delimiters and version.

    ``control_id`` is the answer's own MSH-10, at most 20 characters. A message without a header is answered with the
    standard delimiters, version 2.5 and an empty MSA-2.
    """
    header = _header(content)
    marks = Delimiters.of("MSH" + header.raw(1) + header.raw(2))
    lines = [_msh(header, marks, now, control_id), marks.field.join(("MSA", code, header.raw(10)))]
    if trouble:
        lines.append(_err(header, marks, trouble))
    return "".join(line + "\r" for line in lines).encode("latin-1")


def _header(content: bytes) -> Segment:
    """The header of ``content``, or a plain one when it cannot be read or only at a cost."""
    try:
        header = header_of(content)
        for number in (9, 12):
            header.text(number)
    except Refused:
        return header_of(_PLAIN_HEADER.encode())
    return header


def _msh(header: Segment, marks: Delimiters, now: datetime, control_id: str) -> str:
    fields = [
        "MSH",
        header.raw(2) or marks.component + marks.repetition + marks.escape + marks.subcomponent,
        header.raw(5),
        header.raw(6),
        header.raw(3),
        header.raw(4),
        now.strftime("%Y%m%d%H%M%S%z"),
        "",
        _type(header, marks),
        control_id,
        header.raw(11) or "P",
        header.raw(12) or "2.5",
    ]
    if header.raw(18):
        fields += ["", "", "", "", "", header.raw(18)]
    return marks.field.join(fields)


def _type(header: Segment, marks: Delimiters) -> str:
    trigger = header.text(9, 2)
    if not trigger or version(header) < (2, 3):
        return "ACK"
    parts = ("ACK", trigger, "ACK") if version(header) >= (2, 4) else ("ACK", trigger)
    return marks.component.join(parts)


def _err(header: Segment, marks: Delimiters, trouble: Trouble) -> str:
    """ERR-2 to ERR-8 from version 2.5 on, ERR-1 before (section 2.14.5)."""
    place = trouble.place
    number = str(place.field) if place.field else ""
    text = CONDITIONS.get(trouble.condition, CONDITIONS["207"])
    if version(header) < (2, 5):
        coded = marks.subcomponent.join((trouble.condition, text, "HL70357"))
        return marks.field.join(("ERR", marks.component.join((place.segment, str(place.occurrence), number, coded))))
    location = marks.component.join((place.segment, str(place.occurrence), number)).rstrip(marks.component)
    coded = marks.component.join((trouble.condition, text, "HL70357"))
    where = location if place.segment else ""
    return marks.field.join(("ERR", "", where, coded, "E", "", "", "", trouble.reason))


def version(header: Segment) -> tuple[int, int]:
    """Major and minor of MSH-12; (2, 5) when it is not a version."""
    major, _, minor = header.text(12).partition(".")
    minor = minor.split(".")[0]
    if major.isdecimal() and minor.isdecimal() and len(major) + len(minor) < 5:
        return int(major), int(minor)
    return 2, 5
