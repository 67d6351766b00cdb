"""What the handlers need from outside."""

from services.hl7_fhir.ports.messages import Archive, Journal, Profiles, Registry, Waiting
from services.hl7_fhir.ports.resources import Resources, Writer
from services.hl7_fhir.ports.studies import Documents, Matches, StudyJournal

__all__ = [
    "Archive",
    "Documents",
    "Journal",
    "Matches",
    "Profiles",
    "Registry",
    "Resources",
    "StudyJournal",
    "Waiting",
    "Writer",
]
