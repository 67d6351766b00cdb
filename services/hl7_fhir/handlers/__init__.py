"""What happens when an HL7 message or a FHIR request arrives, and when a message waits for a receiver."""

from services.hl7_fhir.handlers.fhir import Fhir
from services.hl7_fhir.handlers.messages import Messages
from services.hl7_fhir.handlers.receivers import ReceiversRoutes
from services.hl7_fhir.handlers.senders import Senders
from services.hl7_fhir.handlers.sending import Sender

__all__ = ["Fhir", "Messages", "ReceiversRoutes", "Sender", "Senders"]
