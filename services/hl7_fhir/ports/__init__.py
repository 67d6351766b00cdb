"""What the handlers need from outside."""

from services.hl7_fhir.ports.messages import Archive, Journal, Profiles, Registry, Waiting
from services.hl7_fhir.ports.resources import Resources, Writer

__all__ = ["Archive", "Journal", "Profiles", "Registry", "Resources", "Waiting", "Writer"]
