"""What a message leaves to the place where it is read."""

from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from services.hl7_fhir.domain.mapping.maps import Maps
from services.hl7_fhir.domain.mapping.shipped import shipped
from shared.identity import SiteKey


@dataclass(frozen=True)
class Site:
    """Zone and issuers of what names none, and the maps. ``accession_fields`` replaces those of the maps when given.

    ``provenance`` says whether each message that changes something leaves a Provenance.

    ``key`` names resources that other resources refer to; without it they are named by identifier alone.
    """

    zone: tzinfo = UTC
    patient_issuer: str = ""
    order_issuer: str = ""
    accession_fields: tuple[str, ...] = ()
    provenance: bool = True
    maps: Maps = field(default_factory=shipped, repr=False, compare=False)
    key: SiteKey | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Let the setting take the place of the rows."""
        if self.accession_fields:
            object.__setattr__(self, "maps", self.maps.with_accession(self.accession_fields))

    def issuer(self, of: str) -> str:
        """The issuer of ids that name none: ``of`` is ``patient``, ``order`` or nothing."""
        return {"patient": self.patient_issuer, "order": self.order_issuer}.get(of, "")
