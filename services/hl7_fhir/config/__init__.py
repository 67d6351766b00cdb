"""Settings of hl7_fhir, read once from the environment."""

from services.hl7_fhir.config.listening import Listening
from services.hl7_fhir.config.reading import Reading, zone_of

__all__ = ["Settings", "zone_of"]


class Settings(Listening, Reading):
    """Where it keeps its state."""

    database_url: str = "sqlite:///.causeway/databases/hl7_fhir.sqlite3"
