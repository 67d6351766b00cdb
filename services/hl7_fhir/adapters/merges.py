"""Merges and links of patients: recorded on both sides, and what belonged to the one belongs to the other."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from contracts.events import PatientRegistered, PatientUpdated
from services.hl7_fhir.adapters.announcing import Telling
from services.hl7_fhir.adapters.patients import Patients
from services.hl7_fhir.adapters.resource_writes import settle
from services.hl7_fhir.adapters.resources import Change, Present
from services.hl7_fhir.adapters.shelf import Shelf
from services.hl7_fhir.adapters.tables import resources
from services.hl7_fhir.domain.clinical import patient, record
from services.hl7_fhir.domain.clinical.merging import IDENTIFYING, Link, Merge, Person
from services.hl7_fhir.domain.clinical.order import Fact
from services.hl7_fhir.domain.clinical.record import Known
from services.hl7_fhir.domain.messages.message import Field

#: What moves with a patient; studies and scheduled steps follow by themselves (adapters/following.py).
MOVED = ("Appointment", "DiagnosticReport", "DocumentReference", "Encounter", "Observation", "ServiceRequest")

#: A name in a record that only says when a resource moved.
_MOVED = "link:patient"


class Merges:
    """What one message says of records that are of one person."""

    def __init__(
        self, connection: Connection, shelf: Shelf, patients: Patients, telling: Telling, when: datetime
    ) -> None:
        self._connection = connection
        self._shelf = shelf
        self._patients = patients
        self._telling = telling
        self._when = when

    def apply(self, merges: Iterable[Merge], links: Iterable[Link]) -> tuple[str, ...]:
        """Do all of them in their order; flags for what was not done."""
        flags: tuple[str, ...] = ()
        for number, merge in enumerate(merges, 1):
            flags += self._merge(merge, number)
        for number, link in enumerate(links, 1):
            flags += self._link(link, number)
        return flags

    def _merge(self, merge: Merge, number: int) -> tuple[str, ...]:
        old_id = merge.merged.resource_id
        if merge.survivor.identity is None or merge.merged.identity is None:
            return ("merge-not-identified",)
        if merge.survivor.resource_id == old_id:
            return (*self._said(merge.survivor, number), "merge-into-itself")
        survivor_id = self._patients.survivor(merge.survivor.resource_id)
        if survivor_id == old_id:
            return ("merge-in-a-circle",)
        old = self._shelf.present("Patient", old_id)
        before = old.record.get(patient.REPLACED_BY) if old else None
        if before and before.said > self._when:
            return ("older-than-known",)
        flags = ("merged-before",) if before and patient.ids(before.value) not in ((), (survivor_id,)) else ()
        return flags + self._merged(merge, old, survivor_id, number)

    def _merged(self, merge: Merge, old: Present | None, survivor_id: str, number: int) -> tuple[str, ...]:
        old_id = merge.merged.resource_id
        was_known = self._shelf.present("Patient", survivor_id) is not None
        flags = self._said(merge.survivor, number)
        self._retire(merge.merged, old, survivor_id)
        self._take_over(survivor_id, old_id, old if not was_known else None)
        self._move(old_id, survivor_id, number)
        survivor = self._shelf.present("Patient", survivor_id)
        if survivor:
            fields = record.values(survivor.record)
            self._telling.merged(survivor_id, fields, dict(survivor.body), old_id, merge.merged.identity, number)
        return flags

    def _said(self, person: Person, number: int) -> tuple[str, ...]:
        """What the message says of a person beside the merge."""
        applied = self._patients.apply(person.resource_id, person.fields, self._when)
        if applied.change in (Change.CREATED, Change.CHANGED):
            event = PatientRegistered if applied.change is Change.CREATED else PatientUpdated
            self._telling.patient(event, applied.id, applied.identity, number)
        return applied.flags

    def _retire(self, person: Person, old: Present | None, survivor_id: str) -> None:
        """The old record, made if nobody knew it, says what replaced it; the message fills its gaps only."""
        known = dict(old.record if old else {})
        for name, value in person.fields.items():
            known.setdefault(name, Known(value, self._when))
        known[patient.REPLACED_BY] = Known(patient.as_field((survivor_id,)), self._when)
        self._patients.put(person.resource_id, old, known)

    def _take_over(self, survivor_id: str, old_id: str, inherited: Present | None) -> None:
        """The survivor says what it replaces and keeps the old identifiers; a new one inherits what it was not told."""
        survivor = self._shelf.present("Patient", survivor_id)
        old = self._shelf.present("Patient", old_id)
        if survivor is None or old is None:
            raise TypeError("both records are there by now")
        known = dict(survivor.record)
        for name, said in inherited.record.items() if inherited else ():
            if name not in IDENTIFYING and not name.startswith("link:"):
                known.setdefault(name, said)
        known[patient.REPLACES] = _added(known.get(patient.REPLACES), patient.as_field((old_id,)), self._when)
        identifiers = old.record.get("PID-3")
        earlier = old.record.get("MRG-1")
        for value in (identifiers, earlier):
            if value and value.value:
                known["MRG-1"] = _added(known.get("MRG-1"), value.value, self._when)
        self._patients.put(survivor_id, survivor, known)

    def _move(self, old_id: str, survivor_id: str, number: int) -> None:
        settle(self._connection)
        wanted = select(resources.c.type, resources.c.id).where(
            resources.c.type.in_(MOVED), resources.c.patient == old_id
        )
        found = [
            (row.type, row.id) for row in self._connection.execute(wanted.order_by(resources.c.type, resources.c.id))
        ]
        survivor = self._shelf.present("Patient", survivor_id)
        identity = self._telling.identity_of(record.values(survivor.record)) if survivor else None
        for start in range(0, len(found), 500):
            self._shelf.fetch(found[start : start + 500])
        for kind, resource_id in found:
            present = self._shelf.present(kind, resource_id)
            if present is None:
                continue
            known = {**present.record, _MOVED: Known(patient.as_field((survivor_id,)), self._when)}
            made = _repointed(dict(present.body), f"Patient/{old_id}", f"Patient/{survivor_id}")
            self._shelf.put(kind, resource_id, known, made, survivor_id)
            if kind == "ServiceRequest":
                self._telling.order(
                    Fact.CHANGED, resource_id, survivor_id, identity, record.values(known), made, number
                )

    def _link(self, link: Link, number: int) -> tuple[str, ...]:
        if link.one.identity is None or link.other.identity is None:
            return ("link-not-identified",)
        flags = self._said(link.one, number * 2) + self._said(link.other, number * 2 + 1)
        one, other = (self._patients.survivor(person.resource_id) for person in (link.one, link.other))
        if one == other:
            return (*flags, "link-to-itself")
        for here, there in ((one, other), (other, one)):
            flags += self._see_also(here, there, link.linked)
        return flags

    def _see_also(self, here: str, there: str, linked: bool) -> tuple[str, ...]:
        present = self._shelf.present("Patient", here)
        known = dict(present.record if present else {})
        before = known.get(patient.SEE_ALSO)
        if before and before.said > self._when:
            return ("older-than-known",)
        others = [one for one in patient.ids(before.value if before else ()) if one != there]
        value = patient.as_field([*others, there] if linked else others)
        known[patient.SEE_ALSO] = Known(value, self._when)
        self._patients.put(here, present, known)
        return ()


def _added(known: Known | None, value: Field, when: datetime) -> Known:
    """``value`` beside what is known, since the later of both times."""
    if known is None:
        return Known(value, when)
    return Known((*known.value, *(one for one in value if one not in known.value)), max(known.said, when))


def _repointed(node: Any, old: str, new: str) -> Any:
    """A copy of a resource's body that refers to ``new`` where it referred to ``old``."""
    if isinstance(node, dict):
        return {
            name: new if name == "reference" and value == old else _repointed(value, old, new)
            for name, value in node.items()
        }
    return [_repointed(each, old, new) for each in node] if isinstance(node, list) else node
