"""What a scheduled step needs of an order's message beside the order itself: the visit, allergies, weight, other steps.

Taken up with the order's own fields, under names such as ``PV1-3``. An OMI^O23 may hold several IPC segments, one per
scheduled step (chapter 4, section 4.5.6): the fields of the first are ``IPC-1`` …, those of the second ``IPC:2-1`` …,
and under ``IPC`` stands how many there are, so that a message tells all of them (``record.merge``).
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from services.hl7_fhir.domain.clinical.record import Fields, fields_of
from services.hl7_fhir.domain.mapping.rows import occurrence
from services.hl7_fhir.domain.messages.message import Field, Message, Segment, first, part

#: Fields of the visit that the message speaks of.
VISIT: Mapping[str, Sequence[int]] = {"PV1": (3, 8, 15, 16, 19)}
IPC = range(1, 10)
MAX_STEPS = 64
ALLERGIES, WEIGHT, HEIGHT = "AL1-3", "OBX[weight]-5", "OBX[height]-5"

#: OBX-3: LOINC's codes, and the texts that imaging systems send (IHE RAD TF-2, 4.4 and appendix B).
_MEASURED = {
    WEIGHT: frozenset(("29463-7", "3141-9", "3142-7", "body weight")),
    HEIGHT: frozenset(("8302-2", "3137-7", "3138-5", "body height")),
}
_FACTORS = {
    WEIGHT: {"": 1.0, "kg": 1.0, "g": 0.001, "lb": 0.45359237, "[lb_av]": 0.45359237, "lbs": 0.45359237},
    HEIGHT: {"": 1.0, "m": 1.0, "cm": 0.01, "in": 0.0254, "[in_i]": 0.0254},
}
_NUMBER = re.compile(r"\d{1,4}(\.\d{1,4})?\Z")


def said_of_steps(message: Message, group: Sequence[Segment]) -> dict[str, Field]:
    """The fields of the order group ``group`` of ``message`` that only its steps need."""
    found = fields_of(message.all("PV1")[:1], VISIT)
    allergies = tuple(each for segment in message.all("AL1") for each in segment.field(3)[:1])
    if allergies:
        found[ALLERGIES] = allergies[:64]
    for segment in group:
        if segment.name == "OBX" and (measured := _measured(segment)):
            found.setdefault(*measured)
    return found | _steps(group)


def _measured(segment: Segment) -> tuple[str, Field] | None:
    """Weight in kg or height in m, as (name, field)."""
    names = {segment.text(3).lower(), segment.text(3, 2).lower()}
    value, unit = segment.text(5), segment.text(6).lower()
    for name, known in _MEASURED.items():
        factor = _FACTORS[name].get(unit)
        if names & known and factor and _NUMBER.match(value):
            return name, (((f"{float(value) * factor:.6g}",),),)
    return None


def _steps(group: Sequence[Segment]) -> dict[str, Field]:
    segments = [each for each in group if each.name == "IPC"][:MAX_STEPS]
    return fields_of(segments, {"IPC": IPC}, frozenset(("IPC",))) if segments else {}


def name_of(number: int, field: int) -> str:
    """The name of a field of the order's IPC ``number``, from 1."""
    return f"{occurrence('IPC', number)}-{field}"


def steps_in(fields: Fields) -> list[dict[int, Field]]:
    """The fields of each IPC by number; one step without fields for an order that has none."""
    told = first(fields.get("IPC", ()))
    found: list[dict[int, Field]] = []
    for number in range(1, min(int(told), MAX_STEPS) + 1 if told.isdecimal() else 1):
        step = {field: value for field in IPC if (value := fields.get(name_of(number, field), ()))}
        if step:
            found.append(step)
    return found or [{}]


def texts(field: Iterable[tuple[tuple[str, ...], ...]], component: int = 1) -> list[str]:
    """One component of each repetition, without those that are empty."""
    return [value for each in field if (value := part(each, component))]
