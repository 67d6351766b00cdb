"""An order: what ORC, TQ1, OBR, NTE, IPC and ZDS say of it, and the ServiceRequest that the maps make of that."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from services.hl7_fhir.domain.clinical.record import Known, Record, Site, fields_of, merge, values
from services.hl7_fhir.domain.clinical.step_fields import said_of_steps, steps_in
from services.hl7_fhir.domain.mapping import vocabulary
from services.hl7_fhir.domain.mapping.datatypes import Json
from services.hl7_fhir.domain.mapping.functions import uid_of
from services.hl7_fhir.domain.mapping.identity import Identity, ei_identity
from services.hl7_fhir.domain.mapping.issuers import EI, filled, issued
from services.hl7_fhir.domain.mapping.maps import CHOSEN
from services.hl7_fhir.domain.mapping.rows import Fields, Made, Trace, render, text_at
from services.hl7_fhir.domain.messages.message import Field, Message, Repetition, Segment, first
from services.hl7_fhir.domain.messages.refusal import FieldMissing, SegmentError

#: Segments that are read apart: notes by what they follow, steps each for itself.
_APART = ("NTE", "IPC")

#: Where an order's numbers are, first come first.
PLACER, FILLER = ("ORC-2", "OBR-2"), ("ORC-3", "OBR-3")


class Fact(Enum):
    """What a reader of the bus is told of an order."""

    PLACED = "placed"
    CHANGED = "changed"
    CANCELLED = "cancelled"


#: Codes of table 0119 that only ask, or say that somebody could not do something: the order stays as it is.
_LEAVES_IT = vocabulary.words("UA UC UD UF UH UM UN UR UX SS SR DE LI")
_ENDED = frozenset(("revoked", "entered-in-error"))
#: When a control code was said that any other one replaces.
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class OrderSaid:
    """What one order group of a message says. ``placer``, ``filler``, ``accession`` are None when they match nothing.

    ``touches`` is False for an order control code that leaves the order as it is, ``is_silent`` True for one that says
    nothing of its status. ``segments`` are those of the group, ``site`` is how its sender is read.
    """

    touches: bool
    fields: Fields = field(repr=False)
    placer: Identity | None
    filler: Identity | None
    accession: Identity | None
    is_silent: bool = False
    segments: tuple[Segment, ...] = field(default=(), repr=False, compare=False)
    site: Site = field(default_factory=Site, repr=False, compare=False)
    made: Made | None = field(default=None, repr=False, compare=False)


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
    read = {name: numbers for name, numbers in site.maps.wanted("ServiceRequest").items() if name not in _APART}
    fields = filled({**fields_of(group, read), **of_steps}, "ServiceRequest", site)
    if control != "NW":
        fields.pop("ORC-9", None)  # the guide: only the time of the new order is when it was authored
    notes = _notes(group)
    if notes:
        fields["NTE-3"] = notes
    fields[CHOSEN] = accessions(fields, site)
    return OrderSaid(
        touches=control not in _LEAVES_IT,
        fields=fields,
        placer=number(fields, PLACER, site),
        filler=number(fields, FILLER, site),
        accession=accession_of(fields, site),
        is_silent=_code("status", {"ORC-1": fields["ORC-1"]}, site) in (None, "unknown"),
        segments=tuple(group),
        site=site,
    )


def _notes(group: list[Segment]) -> Field:
    """NTE-3 of the notes that follow ORC or OBR directly; those after OBX belong to an observation."""
    notes: list[Repetition] = []
    owner = ""
    for segment in group:
        if segment.name == "NTE" and owner in ("ORC", "OBR"):
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
    """The accession number that was chosen when it was said, else from the first of the site's fields that has one."""
    told = fields.get(CHOSEN)
    return ei_identity(accession(fields, site) if told is None else told, "")


def accession(fields: Fields, site: Site) -> Field:
    """The first of the site's fields that has an accession number, with who issued it."""
    for name in site.maps.accession:
        if ei_identity(value := fields.get(name, ()), ""):
            return issued(value[:1], EI, site.order_issuer)
    return ()


def accessions(fields: Fields, site: Site) -> Field:
    """The order's accession number and, where it has several steps, that of each of them; empty when there is none."""
    steps = steps_in(fields) if "IPC" in fields and _of_steps(site) else []
    each = [accession({**fields, **{f"IPC-{number}": value for number, value in step.items()}}, site) for step in steps]
    found = [accession(fields, site), *(each if len(each) > 1 else ())]
    return tuple(one[0] if one else (("",),) for one in found) if any(found) else ()


def accession_of_step(fields: Fields, step: int) -> Field | None:
    """The accession number of the order's step, from 1, as it was chosen; None where nobody chose."""
    told = fields.get(CHOSEN)
    if told is None:
        return None
    chosen = told[step : step + 1] or told[:1]
    return chosen if first(chosen) else ()


def _of_steps(site: Site) -> bool:
    return any(name.startswith("IPC-") for name in site.maps.accession)


def study_uid(fields: Fields) -> str | None:
    """The Study Instance UID of IPC-3 or ZDS-1, None when it is none (PS3.5 section 9.1)."""
    for name in ("IPC-3", "ZDS-1"):
        if uid := uid_of(first(fields.get(name, ()))):
            return uid
    return None


def modality(fields: Fields) -> str | None:
    """The modality of IPC-5, or of OBR-24 where that holds one."""
    for name in ("IPC-5", "OBR-24"):
        code = first(fields.get(name, ())).upper()
        if code in vocabulary.MODALITIES:
            return code
    return None


def priority(fields: Fields, site: Site | None = None) -> str | None:
    """The FHIR priority, by the rows of the element."""
    return _code("priority", fields, site or Site())


def status(fields: Fields, site: Site | None = None) -> str:
    """ServiceRequest.status, by the rows of the element."""
    return _code("status", fields, site or Site()) or "unknown"


def _code(element: str, fields: Fields, site: Site) -> str | None:
    for each in site.maps.of("ServiceRequest"):
        for row in each.rows:
            if row.element != element or (row.condition and not row.condition(fields)):
                continue
            if row.constant is not None:
                return str(row.constant)
            value = fields.get(row.place.field, ())
            found = row.convert((((text_at(row.place, value)),),), site) if value else None
            if found:
                return str(found)
    return None


def resource(record: Record, patient: str, site: Site, encounter: str = "") -> Json:
    """The ServiceRequest that ``record`` describes for the Patient with id ``patient``, without id and meta."""
    return resource_of(values(record), patient, site, encounter)


def resource_of(fields: Fields, patient: str, site: Site, encounter: str = "", trace: Trace | None = None) -> Json:
    """The ServiceRequest that ``fields`` describe, in the course of an Encounter if ``encounter`` names one."""
    maps, told = site.maps, fields.get(CHOSEN)
    if told is not None and (told[:1] if first(told) else ()) != accession(fields, site):
        maps, fields = maps.chosen, {**fields, CHOSEN: told[:1]}
    elements = render(maps.of("ServiceRequest"), fields, site, trace)
    if "code" not in elements:
        elements.pop("orderDetail", None)  # R4 constraint prr-1: details only beside a code
    visit = {"encounter": {"reference": f"Encounter/{encounter}", "type": "Encounter"}} if encounter else {}
    return {
        "resourceType": "ServiceRequest",
        "subject": {"reference": f"Patient/{patient}", "type": "Patient"},
        **visit,
        **elements,
    }


def updated(record: Record, said: OrderSaid, when: datetime) -> dict[str, Known]:
    """``record`` after ``said``.

    A code that leaves the order as it is does not become its control code, and neither does one that says nothing of
    its status (XO, SC) beside an empty ORC-5: it stands only until one is known that does, though from before.
    """
    fields = said.fields
    if not said.touches:
        fields = {name: value for name, value in fields.items() if name not in ("ORC-1", "ORC-5")}
    elif "ORC-5" not in fields and said.is_silent:
        fields = {name: value for name, value in fields.items() if name != "ORC-1"}
        record = {"ORC-1": Known(said.fields["ORC-1"], _BEFORE_ALL), **record}
    return _chosen(record, fields, when, said.site)


def _chosen(record: Record, fields: Fields, when: datetime, site: Site) -> dict[str, Known]:
    """The record with ``fields``; whoever says something of the accession number chooses it of all that is known."""
    if not record:
        return merge(record, fields, when)
    before = record.get(CHOSEN)
    speaks = any(name in fields for name in site.maps.accession) or ("IPC" in fields and _of_steps(site))
    merged = merge(record, {name: value for name, value in fields.items() if name != CHOSEN}, when)
    if before is None or (speaks and before.said <= when):
        merged[CHOSEN] = Known(accessions(values(merged), site), when)
    return merged
