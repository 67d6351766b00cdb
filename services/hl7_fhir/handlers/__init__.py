"""What happens when an HL7 message or a FHIR request arrives, and after a message was kept."""

from services.hl7_fhir.handlers.archive import ArchiveRoutes
from services.hl7_fhir.handlers.fhir import Fhir
from services.hl7_fhir.handlers.mapping import Mapping
from services.hl7_fhir.handlers.messages import Messages
from services.hl7_fhir.handlers.steps import StepEvents
from services.hl7_fhir.handlers.worklist import Worklist

__all__ = ["ArchiveRoutes", "Fhir", "Mapping", "Messages", "StepEvents", "Worklist"]
