"""A document: what TXA and the OBX after it say (HL7 v2 chapter 9, section 9.6.2)."""

from collections.abc import Iterable

from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.messages.message import Field, Repetition, Segment

#: Names in a record for OBX-5 of documents inside (ED), of pointers (RP) and of text, whichever OBX they came in.
INSIDE, POINTER, TEXT = "OBX-91", "OBX-92", "OBX-93"
_DOCUMENTS = {"ED": INSIDE, "RP": POINTER}


def is_document(observation: Segment) -> bool:
    """Whether OBX-5 is a document and no observed value."""
    return observation.text(2).upper() in _DOCUMENTS


def contents(observations: Iterable[Segment], with_text: bool = True) -> dict[str, Field]:
    """What OBX segments hold, by kind; lines of text are one text."""
    found: dict[str, list[Repetition]] = {}
    lines: list[str] = []
    for segment in observations:
        kind = segment.text(2).upper()
        if kind in _DOCUMENTS:
            found.setdefault(_DOCUMENTS[kind], []).extend(segment.field(5))
        elif with_text:
            lines += ["^".join("&".join(part) for part in repetition) for repetition in segment.field(5)]
    if any(line.strip() for line in lines):
        found[TEXT] = [(("\n".join(lines),),)]
    return {name: tuple(repetitions) for name, repetitions in found.items()}


def finished(elements: Json, context: Json) -> Json:
    """With what R4 demands: at least one content (section 10.3.3)."""
    more: Json = {"context": context} if context else {}
    if not elements.get("content"):
        more["content"] = [{"attachment": {"title": "not sent"}}]
    return {**elements, **more}
