"""The answer to a message: MSH, MSA and, where something was wrong, ERR (HL7 v2 chapter 2, sections 2.9 and 2.14.5).

The answer is built from the raw header, byte by byte as it came, so that MSA-2 echoes MSH-10 whatever its character
set. It never holds any other value of the message: ERR names a segment, a field and a condition.
"""

from dataclasses import dataclass, field
from datetime import datetime

from services.hl7_fhir.domain.messages.envelope import Envelope
from services.hl7_fhir.domain.messages.refusal import CONDITIONS, Place

#: Table 0155: on which outcomes an acknowledgement is wanted.
_WANTED = {"AL": ("AA", "AE", "AR"), "ER": ("AE", "AR"), "SU": ("AA",)}
#: What a message without a readable header is answered with.
_VERSION, _PROCESSING = "2.5", "P"


@dataclass(frozen=True)
class Trouble:
    """What ERR tells: a condition of table 0357, the reason's code and where in the message."""

    condition: str
    reason: str
    place: Place = field(default_factory=Place)


def codes(envelope: Envelope, outcome: str) -> tuple[str, ...]:
    """The codes of table 0008 to answer with, in their order, for ``outcome`` AA, AE or AR.

    In original mode (section 2.9.2) that is the outcome. In enhanced mode (section 2.9.3) MSH-15 decides whether CA, CE
    or CR is wanted, MSH-16 whether the outcome itself is told after it, in a message of its own; what was not kept (AR)
    was not processed either. A sender may want nothing at all.
    """
    if not envelope.is_enhanced:
        return (outcome,)
    accepted = ("C" + outcome[1],) if outcome in _WANTED.get(envelope.accept, ()) else ()
    processed = (outcome,) if outcome != "AR" and outcome in _WANTED.get(envelope.application, ()) else ()
    return accepted + processed


def acknowledge(envelope: Envelope, code: str, now: datetime, control_id: str, trouble: Trouble | None = None) -> bytes:
    """The acknowledgement with ``code`` of table 0008, in the sender's delimiters and version.

    ``control_id`` is the answer's own MSH-10, at most 20 characters. A message without a header is answered with the
    standard delimiters, version 2.5 and an empty MSA-2.
    """
    separator = envelope.delimiters.field
    said = version(envelope)
    lines = f"{_msh(envelope, said, now, control_id)}\rMSA{separator}{code}{separator}{envelope.control_id}\r"
    if trouble:
        lines += _err(envelope, said, trouble) + "\r"
    return lines.encode("latin-1")


def _msh(envelope: Envelope, said: tuple[int, int], now: datetime, control_id: str) -> str:
    marks = envelope.delimiters
    fields = [
        "MSH",
        envelope.encoding or marks.component + marks.repetition + marks.escape + marks.subcomponent,
        envelope.receiver,
        envelope.receiving_facility,
        envelope.sender,
        envelope.facility,
        now.strftime("%Y%m%d%H%M%S%z"),
        "",
        _type(envelope, said),
        control_id,
        envelope.processing or _PROCESSING,
        envelope.version_id or _VERSION,
    ]
    if envelope.charset:
        fields += ["", "", "", "", "", envelope.charset]
    return marks.field.join(fields)


def _type(envelope: Envelope, said: tuple[int, int]) -> str:
    trigger = envelope.trigger
    if not trigger or said < (2, 3):
        return "ACK"
    parts = ("ACK", trigger, "ACK") if said >= (2, 4) else ("ACK", trigger)
    return envelope.delimiters.component.join(parts)


def _err(envelope: Envelope, said: tuple[int, int], trouble: Trouble) -> str:
    """ERR-2 to ERR-8 from version 2.5 on, ERR-1 before (section 2.14.5)."""
    marks, place = envelope.delimiters, trouble.place
    number = str(place.field) if place.field else ""
    text = CONDITIONS.get(trouble.condition, CONDITIONS["207"])
    if said < (2, 5):
        coded = marks.subcomponent.join((trouble.condition, text, "HL70357"))
        return marks.field.join(("ERR", marks.component.join((place.segment, str(place.occurrence), number, coded))))
    location = marks.component.join((place.segment, str(place.occurrence), number)).rstrip(marks.component)
    coded = marks.component.join((trouble.condition, text, "HL70357"))
    where = location if place.segment else ""
    return marks.field.join(("ERR", "", where, coded, "E", "", "", "", trouble.reason))


def version(envelope: Envelope) -> tuple[int, int]:
    """Major and minor of MSH-12; (2, 5) when it is not a version."""
    major, _, minor = envelope.version.partition(".")
    minor = minor.split(".")[0]
    if major.isdecimal() and minor.isdecimal() and len(major) + len(minor) < 5:
        return int(major), int(minor)
    return 2, 5
