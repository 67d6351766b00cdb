"""What a peer must keep to on an association, whoever serves it."""

from dataclasses import dataclass, field

from services.dicom_ingest.adapters.allowance import Allowance
from services.dicom_ingest.adapters.pacing import Paces
from services.dicom_ingest.adapters.pdus import PduLimits
from services.dicom_ingest.adapters.peers import Door
from services.dicom_ingest.domain.negotiation import SERVICES

#: Bytes of greetings that are long, of all who are not let in yet: a few of 1 MiB, or dozens as they are in practice.
LONG_GREETINGS = 4 * 1024 * 1024


@dataclass(frozen=True)
class AssociationRules:
    """How long a peer may be silent (seconds), how large its PDUs may be, who may call, for what beside storage."""

    artim: float
    idle: float
    limits: PduLimits
    door: Door
    paces: Paces
    services: frozenset[str] = SERVICES
    greetings: Allowance = field(default_factory=lambda: Allowance(LONG_GREETINGS))
