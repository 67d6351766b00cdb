"""Settings of hl7_fhir, read once from the environment."""

from pydantic import Field

from services.hl7_fhir.config.clients import Clients
from services.hl7_fhir.config.listening import Listening
from services.hl7_fhir.config.reading import Reading, zone_of
from services.hl7_fhir.config.studies import Studies
from services.hl7_fhir.config.worklist import WorklistSettings

__all__ = ["Settings", "zone_of"]


class Settings(Listening, Reading, Studies, Clients, WorklistSettings):
    """Where it keeps its state."""

    database_url: str = "sqlite:///.causeway/databases/hl7_fhir.sqlite3"
    #: Days for which the bytes of a message are kept, unless it still waits to be mapped or for a receiver.
    hl7_keep_days: int = Field(default=3653, ge=1)
