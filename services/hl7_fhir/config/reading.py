"""What messages of this site leave unsaid."""

import codecs
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator

from shared.settings import ServiceSettings


class Reading(ServiceSettings):
    """How messages are read whose sender's entry in the registry says nothing else."""

    #: Python's name of the character set of messages without MSH-18.
    hl7_charset: str = "utf-8"
    #: The time zone of times that are sent without one, an IANA name.
    time_zone: str = "UTC"
    #: Who issues patient ids, and order and accession numbers, that name nobody; the same as for images.
    patient_issuer: str = ""
    order_issuer: str = ""
    #: Where an accession number is looked for, first come first; empty for what the maps say (IPC-1, OBR-18).
    accession_fields: tuple[str, ...] = ()
    #: A file with rows and concept maps of this site's own (docs/conformance/hl7-maps.md).
    maps_file: Path | None = None

    #: Who gets messages from here (examples/receivers.yaml); read again when it changes. Nobody without it.
    receivers_file: Path | None = None

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
