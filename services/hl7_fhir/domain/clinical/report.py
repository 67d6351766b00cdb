"""Reports: what ORC, OBR and the OBX after it say (ORU^R01, HL7 v2 chapter 7, section 7.3.1)."""

from collections.abc import Iterable

from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.mapping.functions import uid_of
from services.hl7_fhir.domain.mapping.rows import Fields
from services.hl7_fhir.domain.messages.message import Field, Segment

#: Names in a record for the ids of the Observations, and for the Study Instance UIDs that OBX segments name.
RESULTS = "link:result"
STUDIES = "OBX-90"

_STUDY_CODES = frozenset(("113014", "110180", "STUDY INSTANCE UID"))


def groups(segments: Iterable[Segment]) -> list[list[Segment]]:
    """The segments of each report: ORC, if there is one, and OBR up to the next order."""
    found: list[list[Segment]] = []
    current: list[Segment] = []
    for segment in segments:
        is_next = segment.name == "OBR" and (not current or any(one.name == "OBR" for one in current))
        if segment.name == "ORC" or is_next:
            current = [segment]
            found.append(current)
        elif current:
            current.append(segment)
    return [group for group in found if any(segment.name == "OBR" for segment in group)]


def observations(group: Iterable[Segment]) -> list[tuple[Segment, list[Segment]]]:
    """Each OBX of a group with the NTE that follow it."""
    found: list[tuple[Segment, list[Segment]]] = []
    owner = ""
    for segment in group:
        if segment.name == "OBX":
            found.append((segment, []))
        elif segment.name == "NTE" and owner == "OBX":
            found[-1][1].append(segment)
        if segment.name != "NTE":
            owner = segment.name
    return found


def studies(found: Iterable[Segment]) -> Field:
    """The Study Instance UIDs in OBX-5 of observations that say so in OBX-3 (IHE RAD TF-2, 4.28.4.1.2.3)."""
    uids = [
        uid
        for segment in found
        if segment.text(3).upper() in _STUDY_CODES or segment.text(3, 2).upper() in _STUDY_CODES
        for repetition in segment.field(5)
        if (uid := uid_of(repetition[0][0].strip()))
    ]
    return tuple(((uid,),) for uid in dict.fromkeys(uids))


def finished(elements: Json, fields: Fields) -> Json:
    """With its observations in the order in which they were sent."""
    results = [
        {"reference": f"Observation/{repetition[0][0]}", "type": "Observation"}
        for repetition in fields.get(RESULTS, ())
    ]
    return {**elements, **({"result": results} if results else {})}
