"""What happens when an HL7 message, an event or an HTTP request arrives."""

from services.hl7_fhir.handlers.fhir import Fhir
from services.hl7_fhir.handlers.matches import MatchesOverHttp
from services.hl7_fhir.handlers.messages import Messages
from services.hl7_fhir.handlers.studies import StudyEvents

__all__ = ["Fhir", "MatchesOverHttp", "Messages", "StudyEvents"]
