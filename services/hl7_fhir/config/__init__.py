"""Settings of hl7_fhir, read once from the environment."""

import codecs
from datetime import UTC, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from services.hl7_fhir.config.worklist import WorklistSettings


class Settings(WorklistSettings):
    """Where it listens, where it keeps its state, and what messages of this site leave unsaid."""

    database_url: str = "sqlite:///.causeway/databases/hl7_fhir.sqlite3"

    #: MLLP; port 0 takes a free one. MLLP has no authentication: outside loopback keep it in a network of its own.
    mllp_host: str = "127.0.0.1"
    mllp_port: int = 2575
    mllp_connections: Annotated[int, Field(gt=0)] = 256
    #: Seconds that a connection may be silent between messages, and that one message may take to arrive.
    mllp_idle_timeout: Annotated[float, Field(gt=0)] = 3600.0
    mllp_message_timeout: Annotated[float, Field(gt=0)] = 60.0

    #: Python's name of the character set of messages without MSH-18.
    hl7_charset: str = "utf-8"
    #: The time zone of times that are sent without one, an IANA name.
    time_zone: str = "UTC"
    #: Who issues patient ids, and order and accession numbers, that name nobody; the same as for images.
    patient_issuer: str = ""
    order_issuer: str = ""
    #: Where an accession number is looked for, first come first; empty for what the maps say (IPC-1, OBR-18).
    accession_fields: tuple[str, ...] = ()

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        zone_of(name)
        return name

    @field_validator("hl7_charset")
    @classmethod
    def _is_codec(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name
        except LookupError:
            raise ValueError("no such character set") from None

    @property
    def zone(self) -> tzinfo:
        """The site's time zone."""
        return zone_of(self.time_zone)


def zone_of(name: str) -> tzinfo:
    """The zone called ``name``; UTC even where the system has no time zone data. ValueError when there is none."""
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError("no such time zone") from None
