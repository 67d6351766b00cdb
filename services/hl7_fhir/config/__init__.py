"""Settings of hl7_fhir, read once from the environment."""

from services.hl7_fhir.config.clients import Clients
from services.hl7_fhir.config.keeping import Keeping
from services.hl7_fhir.config.listening import Listening
from services.hl7_fhir.config.reading import Reading, zone_of
from services.hl7_fhir.config.studies import Studies
from services.hl7_fhir.config.worklist import WorklistSettings

__all__ = ["Settings", "zone_of"]


class Settings(Listening, Reading, Studies, Clients, WorklistSettings, Keeping):
    """Where it keeps its state."""

    database_url: str = "sqlite:///.causeway/databases/hl7_fhir.sqlite3"
