"""ORC, OBR, TQ1 and NTE to FHIR ServiceRequest after the HL7 v2-to-FHIR guide 1.0.0, and IPC and ZDS by our own map.

The guide maps neither IPC nor ZDS. Here (docs/conformance): IPC-1 and OBR-18 are the accession number (type ACSN),
IPC-2 and OBR-19 the requested procedure id, IPC-3 and ZDS-1 the Study Instance UID (system ``urn:dicom:uid``), IPC-5
and a modality in OBR-24 an order detail in DICOM's own codes, IPC-6 the scheduled protocol as an order detail.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from services.hl7_fhir.domain import datatypes, vocabulary
from services.hl7_fhir.domain.datatypes import Json, extension, text_of, valued
from services.hl7_fhir.domain.identity import Identity, ei_identity
from services.hl7_fhir.domain.message import Field, Message, Repetition, Segment, first, part
from services.hl7_fhir.domain.record import Fields, Known, Record, Row, Site, fields_of, merge, render, values
from services.hl7_fhir.domain.refusal import FieldMissing, SegmentError
from services.hl7_fhir.domain.step_fields import said_of_steps, withdrawn

#: The fields that the map reads, by segment.
FIELDS: dict[str, Sequence[int]] = {
    "ORC": (1, 2, 3, 4, 5, 7, 9, 12, 14, 16),
    "OBR": (2, 3, 4, 5, 6, 13, 16, 18, 19, 20, 24, 27, 31, 46, 47, 53),
    "TQ1": (7, 8, 9),
    "ZDS": (1,),
}

#: Where an order's numbers are, first come first.
PLACER, FILLER = ("ORC-2", "OBR-2"), ("ORC-3", "OBR-3")

_UID = re.compile(r"[0-9]+(\.[0-9]+)+\Z")
_CALLBACK = "servicerequest-order-callback-phone-number"
_DICOM_CODES = "http://dicom.nema.org/resources/ontology/DCM"


class Fact(Enum):
    """What a reader of the bus is told of an order."""

    PLACED = "placed"
    CHANGED = "changed"
    CANCELLED = "cancelled"


#: Codes of table 0119 that only ask, or say that somebody could not do something: the order stays as it is.
_LEAVES_IT = vocabulary.words("UA UC UD UF UH UM UN UR UX SS SR DE LI")
_CANCELS = vocabulary.words("CA OC CR DC OD DR")
_ENDED = frozenset(("revoked", "entered-in-error"))


@dataclass(frozen=True)
class OrderSaid:
    """What one order group of a message says. ``placer``, ``filler``, ``accession`` are None when they match nothing.

    ``touches`` is False for an order control code that leaves the order as it is.
    """

    touches: bool
    fields: Fields
    placer: Identity | None
    filler: Identity | None
    accession: Identity | None


def orders_of(message: Message, site: Site) -> tuple[OrderSaid, ...]:
    """The orders of ORM^O01 or OMI^O23: one per ORC, up to the next (chapter 4, sections 4.4.1 and 4.4.8)."""
    message.required("ORC")
    return tuple(_said(group, site, said_of_steps(message, group)) for group in _groups(message.segments))


def _groups(segments: Iterable[Segment]) -> list[list[Segment]]:
    groups: list[list[Segment]] = []
    for segment in segments:
        if segment.name == "ORC":
            groups.append([segment])
        elif groups:
            groups[-1].append(segment)
        elif segment.name in ("OBR", "IPC", "ZDS"):
            raise SegmentError("order-without-control", segment.place())
    return groups


def _said(group: list[Segment], site: Site, of_steps: Fields) -> OrderSaid:
    control = group[0].text(1).upper()
    if not control:
        raise FieldMissing("order-control-missing", group[0].place(1))
    fields: dict[str, Field] = {**fields_of(group, FIELDS), **of_steps}
    if control != "NW":
        fields.pop("ORC-9", None)  # the guide: only the time of the new order is when it was authored
    notes = _notes(group)
    if notes:
        fields["NTE-3"] = notes
    return OrderSaid(
        touches=control not in _LEAVES_IT,
        fields=fields,
        placer=number(fields, PLACER, site),
        filler=number(fields, FILLER, site),
        accession=accession_of(fields, site),
    )


def _notes(group: list[Segment]) -> Field:
    """NTE-3 of the notes that follow OBR directly; those after OBX belong to an observation."""
    notes: list[Repetition] = []
    owner = ""
    for segment in group:
        if segment.name == "NTE" and owner == "OBR":
            notes += segment.field(3)
        elif segment.name != "NTE":
            owner = segment.name
    return tuple(notes)


def fact(before: str | None, after: str) -> Fact:
    """What to tell of a change of ServiceRequest.status; ``before`` is None for an order that was not known."""
    if after in _ENDED and before not in _ENDED:
        return Fact.CANCELLED
    return Fact.CHANGED if before else Fact.PLACED


def number(fields: Fields, names: tuple[str, ...], site: Site) -> Identity | None:
    """The order number in the first of ``names`` that holds one: PLACER or FILLER."""
    return next((found for name in names if (found := ei_identity(fields.get(name, ()), site.order_issuer))), None)


def accession_of(fields: Fields, site: Site) -> Identity | None:
    """The accession number, from the first of the site's fields that has one."""
    for name in site.accession_fields:
        if found := ei_identity(fields.get(name, ()), site.order_issuer):
            return found
    return None


def study_uid(fields: Fields) -> str | None:
    """The Study Instance UID of IPC-3 or ZDS-1, None when it is none (PS3.5 section 9.1)."""
    for name in ("IPC-3", "ZDS-1"):
        uid = first(fields.get(name, ()))
        if len(uid) <= 64 and _UID.match(uid):
            return uid
    return None


def modality(fields: Fields) -> str | None:
    """The modality of IPC-5, or of OBR-24 where that holds one."""
    for name in ("IPC-5", "OBR-24"):
        code = first(fields.get(name, ())).upper()
        if code in vocabulary.MODALITIES:
            return code
    return None


def priority(fields: Fields) -> str | None:
    """The FHIR priority of TQ1-9, OBR-5, ORC-7.6 or OBR-27.6 (concept map ExtendedPriorityCodes)."""
    for name, component in (("TQ1-9", 1), ("OBR-5", 1), ("ORC-7", 6), ("OBR-27", 6)):
        found = vocabulary.PRIORITY.get(first(fields.get(name, ()), component).upper())
        if found:
            return found
    return None


def status(fields: Fields) -> str:
    """ServiceRequest.status: a cancelling ORC-1, else ORC-5, else ORC-1; ``unknown`` for what the maps do not name."""
    control, state = first(fields.get("ORC-1", ())).upper(), first(fields.get("ORC-5", ())).upper()
    if control in _CANCELS:
        return "revoked"
    return vocabulary.ORDER_STATUS.get(state) or vocabulary.CONTROL_STATUS.get(control) or "unknown"


def _placer(repetition: Repetition, site: Site) -> Json | None:
    return datatypes.entity(repetition, "PLAC", site.order_issuer)


def _filler(repetition: Repetition, site: Site) -> Json | None:
    return datatypes.entity(repetition, "FILL", site.order_issuer)


def _procedure_id(repetition: Repetition, site: Site) -> Json | None:
    return datatypes.entity(repetition, "Requested Procedure ID", site.order_issuer)


def _study(repetition: Repetition, _: Site) -> Json | None:
    uid = part(repetition, 1)
    valid = len(uid) <= 64 and _UID.match(uid)
    return {"system": vocabulary.DICOM_UID_SYSTEM, "value": f"urn:oid:{uid}"} if valid else None


def _concept(repetition: Repetition, _: Site) -> Json | None:
    return datatypes.concept(repetition)


def _modality(repetition: Repetition, _: Site) -> Json | None:
    code = part(repetition, 1).upper()
    return {"coding": [{"system": _DICOM_CODES, "code": code}]} if code in vocabulary.MODALITIES else None


def _practitioner(repetition: Repetition, _: Site) -> Json | None:
    return datatypes.practitioner(repetition)


def _time(repetition: Repetition, site: Site) -> str | None:
    return datatypes.date_time(part(repetition, 1), site.zone)


def _note(repetition: Repetition, _: Site) -> Json | None:
    return valued(text=text_of("^".join("&".join(component) for component in repetition)))


def _callback(repetition: Repetition, site: Site) -> Json | None:
    return extension(_CALLBACK, valueContactPoint=datatypes.contact_point(repetition, site.zone))


def _status_reason(repetition: Repetition, _: Site) -> Json | None:
    return extension("request-statusReason", valueCodeableConcept=datatypes.concept(repetition))


def _location(repetition: Repetition, _: Site) -> Json | None:
    return valued(text=text_of(part(repetition, 1)))


ROWS = (
    Row("ORC-2", "placer", _placer),
    Row("OBR-2", "placer", _placer),
    Row("ORC-3", "filler", _filler),
    Row("OBR-3", "filler", _filler),
    Row("OBR-53", "identifier", _placer, many=True),
    Row("IPC-2", "identifier", _procedure_id, many=True),
    Row("OBR-19", "identifier", _procedure_id, many=True),
    Row("IPC-3", "study", _study),
    Row("ZDS-1", "study", _study),
    Row("ORC-4", "requisition", lambda repetition, site: datatypes.entity(repetition, "PGN", site.order_issuer)),
    Row("OBR-4", "code", _concept),
    Row("IPC-6", "orderDetail", _concept, many=True),
    Row("OBR-46", "orderDetail", _concept, many=True),
    Row("OBR-47", "orderDetail", _concept, many=True),
    Row("IPC-5", "modality", _modality),
    Row("OBR-24", "modality", _modality),
    Row("OBR-6", "occurrenceDateTime", _time),
    Row("ORC-9", "authoredOn", _time),
    Row("ORC-12", "requester", _practitioner),
    Row("OBR-16", "requester", _practitioner),
    Row("OBR-31", "reasonCode", _concept, many=True),
    Row("IPC-8", "locationCode", _location, many=True),
    Row("ORC-14", "extension", _callback, many=True),
    Row("ORC-16", "extension", _status_reason, many=True),
    Row("NTE-3", "note", _note, many=True),
)


def resource(record: Record, patient: str, site: Site) -> Json:
    """The ServiceRequest that ``record`` describes for the Patient with id ``patient``, without id and meta."""
    elements = render(ROWS, record, site)
    fields = values(record)
    named = [elements.pop("placer", None), elements.pop("filler", None), _accession(fields, site)]
    named += [*elements.pop("identifier", []), elements.pop("study", None)]
    details = [*elements.pop("orderDetail", []), elements.pop("modality", None)]
    _add_timing(elements, fields, site)
    return {
        "resourceType": "ServiceRequest",
        "status": status(fields),
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}", "type": "Patient"},
        **elements,
        # R4 constraint prr-1: details only beside a code.
        **(valued(orderDetail=[detail for detail in details if detail] if "code" in elements else None) or {}),
        **(valued(identifier=[name for name in named if name], priority=priority(fields)) or {}),
    }


def _accession(fields: Fields, site: Site) -> Json | None:
    for name in site.accession_fields:
        value = fields.get(name, ())
        if ei_identity(value, site.order_issuer):
            return datatypes.entity(value[0], "ACSN", site.order_issuer)
    return None


def _add_timing(elements: dict[str, Any], fields: Fields, site: Site) -> None:
    """TQ1-7 and -8, else components 4 and 5 of ORC-7 or OBR-27; OBR-6 only where none of them says when."""
    for start, end in ((("TQ1-7", 1), ("TQ1-8", 1)), (("ORC-7", 4), ("ORC-7", 5)), (("OBR-27", 4), ("OBR-27", 5))):
        starts, ends = (first(fields.get(name, ()), component) for name, component in (start, end))
        if bounds := datatypes.period(starts, ends, site.zone):
            elements.pop("occurrenceDateTime", None)
            elements["occurrenceTiming"] = {"repeat": {"boundsPeriod": bounds}}
            return


def updated(record: Record, said: OrderSaid, when: datetime) -> dict[str, Known]:
    """``record`` after ``said``; a code that leaves the order as it is does not become its control code."""
    fields = {**withdrawn(record, said.fields), **said.fields}
    if not said.touches:
        fields = {name: value for name, value in fields.items() if name not in ("ORC-1", "ORC-5")}
    return merge(record, fields, when)
