"""Records of one person: merges (A34, A40, A47) and links (A24, A37), HL7 v2 chapter 3, sections 3.3.24, .37, .40, .47.

A message may speak of several pairs: each PID with the MRG after it, or two PIDs after each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from services.hl7_fhir.domain.clinical.record import fields_of
from services.hl7_fhir.domain.mapping.identity import Identity, patient_identity
from services.hl7_fhir.domain.mapping.issuers import CX, filled, issued
from services.hl7_fhir.domain.mapping.rows import Fields
from services.hl7_fhir.domain.mapping.site import Site
from services.hl7_fhir.domain.messages.message import Field, Message, Segment


@dataclass(frozen=True)
class Person:
    """A record of a person. ``identity`` is None when nothing may match."""

    resource_id: str
    identity: Identity | None = field(repr=False)
    fields: Fields = field(repr=False)
    segments: tuple[Segment, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class Merge:
    """``merged`` is to go on in ``survivor``."""

    survivor: Person
    merged: Person


@dataclass(frozen=True)
class Link:
    """Two records of one person that both go on; ``linked`` is False where that is taken back."""

    one: Person
    other: Person
    linked: bool


#: The id of a resource for an identity; of nobody's when there is none (the number tells persons of a message apart).
Named = Callable[[Identity | None, int], str]

#: The fields that say which record it is; they are not those of the record that goes on.
IDENTIFYING = ("PID-2", "PID-3", "PID-4")


def merges(message: Message, site: Site, named: Named) -> tuple[Merge, ...]:
    """Each MRG with the PID before it."""
    return tuple(
        Merge(person(group, site, named), _merged(segment, site, named))
        for group in _groups(message)
        for segment in group
        if segment.name == "MRG"
    )


def links(message: Message, site: Site, named: Named, linked: bool) -> tuple[Link, ...]:
    """The PIDs of the message in pairs."""
    persons = [person(group, site, named) for group in _groups(message)]
    return tuple(Link(one, other, linked) for one, other in zip(persons[::2], persons[1::2], strict=False))


def _groups(message: Message) -> list[list[Segment]]:
    """Each PID with what follows it."""
    groups: list[list[Segment]] = []
    for segment in message.segments:
        if segment.name == "PID":
            groups.append([segment])
        elif groups:
            groups[-1].append(segment)
    return groups


def person(group: list[Segment], site: Site, named: Named) -> Person:
    """Whom a PID and what follows it speak of."""
    segment = group[0]
    identity = patient_identity(segment.field(3), segment.field(2), site.patient_issuer)
    segments = tuple(one for one in group if one.name != "MRG")
    fields = fields_of(segments, site.maps.wanted("Patient"), site.maps.repeating("Patient"))
    return Person(named(identity, segment.occurrence), identity, filled(fields, "Patient", site), segments)


def _merged(segment: Segment, site: Site, named: Named) -> Person:
    """MRG-1, before 2.3 MRG-4, with the name of MRG-7."""
    identity = patient_identity(segment.field(1), segment.field(4), site.patient_issuer)
    ids = issued(segment.field(1) or segment.field(4), CX, site.patient_issuer)
    told: dict[str, Field] = {"PID-3": ids, "PID-5": segment.field(7)}
    fields = {name: value for name, value in told.items() if value}
    return Person(named(identity, 1000 + segment.occurrence), identity, fields, (segment,))
