"""What happens when a message or a request arrives, when a message was kept, and when one waits for a receiver."""

from services.hl7_fhir.handlers.archive import ArchiveRoutes
from services.hl7_fhir.handlers.both import each_of
from services.hl7_fhir.handlers.courier import Courier
from services.hl7_fhir.handlers.couriers import Couriers
from services.hl7_fhir.handlers.fhir import Fhir
from services.hl7_fhir.handlers.mapping import Mapping
from services.hl7_fhir.handlers.matches import MatchesOverHttp
from services.hl7_fhir.handlers.messages import Messages
from services.hl7_fhir.handlers.receivers import ReceiversRoutes
from services.hl7_fhir.handlers.sockets import Sockets
from services.hl7_fhir.handlers.steps import StepEvents
from services.hl7_fhir.handlers.studies import StudyEvents
from services.hl7_fhir.handlers.subscriptions import Subscriptions
from services.hl7_fhir.handlers.worklist import Worklist
from services.hl7_fhir.handlers.writing import Writing

__all__ = [
    "ArchiveRoutes",
    "Courier",
    "Couriers",
    "Fhir",
    "Mapping",
    "MatchesOverHttp",
    "Messages",
    "ReceiversRoutes",
    "Sockets",
    "StepEvents",
    "StudyEvents",
    "Subscriptions",
    "Worklist",
    "Writing",
    "each_of",
]
