"""Patients as messages change them; what is said of a record that was merged goes to the one that it goes on in."""

from dataclasses import dataclass, field
from datetime import datetime

from services.hl7_fhir.adapters.announcing import Telling
from services.hl7_fhir.adapters.resources import Change, Present
from services.hl7_fhir.adapters.shelf import Shelf
from services.hl7_fhir.domain.clinical import patient, record
from services.hl7_fhir.domain.clinical.merging import IDENTIFYING
from services.hl7_fhir.domain.clinical.record import Record, Site
from services.hl7_fhir.domain.clinical.said import body_of
from services.hl7_fhir.domain.mapping.identity import Identity
from services.hl7_fhir.domain.mapping.rows import Fields, Made

#: A chain of merges that is longer is a circle or a mistake.
MAX_CHAIN = 32


@dataclass(frozen=True)
class Applied:
    """A patient after a message, with what became of it."""

    id: str
    identity: Identity | None = field(repr=False)
    change: Change
    flags: tuple[str, ...]


class Patients:
    """Reads and writes Patients."""

    def __init__(self, shelf: Shelf, site: Site, telling: Telling) -> None:
        self._shelf = shelf
        self._site = site
        self._telling = telling

    def survivor(self, patient_id: str) -> str:
        """The id of the record in which ``patient_id`` goes on, its own when it was not merged."""
        seen = [patient_id]
        while len(seen) < MAX_CHAIN:
            present = self._shelf.present("Patient", seen[-1])
            known = present.record.get(patient.REPLACED_BY) if present else None
            following = patient.ids(known.value) if known else ()
            if not following or following[0] in seen:
                return seen[-1]
            seen.append(following[0])
        return seen[-1]

    def apply(self, patient_id: str, fields: Fields, when: datetime, made: Made | None = None) -> Applied:
        """Let ``fields`` be known of the patient since ``when``."""
        target = self.survivor(patient_id)
        flags: tuple[str, ...] = ()
        if target != patient_id:
            fields = {name: value for name, value in fields.items() if name not in IDENTIFYING}
            flags = ("patient-merged",)
        before = self._shelf.present("Patient", target)
        known = record.merge(before.record if before else {}, fields, when)
        if before and any(one.said > when for one in before.record.values()):
            flags += ("older-than-known",)
        change, identity = self.put(target, before, known, made)
        return Applied(target, identity, change, flags)

    def put(
        self, patient_id: str, before: Present | None, known: Record, made: Made | None = None
    ) -> tuple[Change, Identity | None]:
        """Write what is known of a patient and tell the followers."""
        fields = record.values(known)
        shown = body_of("Patient", fields, patient_id, self._site, made)
        identity = self._telling.identity_of(fields)
        change = self._shelf.put("Patient", patient_id, known, shown, None)
        if change is not Change.STALE:  # not every field that followers read is one of the resource
            self._telling.patient_changed(patient_id, identity, fields, shown)
        return change, identity
