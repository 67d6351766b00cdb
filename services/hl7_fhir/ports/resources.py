"""What handlers of FHIR requests need from outside."""

from typing import Protocol

from services.hl7_fhir.domain.fhir import Stored
from services.hl7_fhir.domain.search import Search


class Resources(Protocol):
    """Reads what the messages made."""

    async def read(self, kind: str, resource_id: str, version: int | None = None) -> Stored | None:
        """The present version, or an earlier one; RetryLater."""

    async def search(self, asked: Search) -> tuple[int, tuple[Stored, ...]]:
        """How many match, and the page that was asked for; RetryLater."""
