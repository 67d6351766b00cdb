"""What happens when an HL7 message or a FHIR request arrives."""

from services.hl7_fhir.handlers.fhir import Fhir
from services.hl7_fhir.handlers.messages import Messages
from services.hl7_fhir.handlers.sockets import Sockets
from services.hl7_fhir.handlers.subscriptions import Subscriptions

__all__ = ["Fhir", "Messages", "Sockets", "Subscriptions"]
