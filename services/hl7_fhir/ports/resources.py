"""What handlers of FHIR requests need from outside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from services.hl7_fhir.domain.fhir.conditions import Search
from services.hl7_fhir.domain.fhir.documents import Stored
from services.hl7_fhir.domain.fhir.found import Page, Versions
from services.hl7_fhir.domain.fhir.writes import Write


class Writer(Protocol):
    """Writes what clients send."""

    async def write(self, asked: Sequence[Write], now: datetime, *, every: bool) -> list[Stored]:
        """What each then is, all of them or none, what messages made only for ``every``; WriteRefused, RetryLater."""


class Resources(Protocol):
    """Reads what the messages made."""

    async def read(self, kind: str, resource_id: str, version: int | None = None) -> Stored | None:
        """The present version, or an earlier one; RetryLater."""

    async def history(
        self, kind: str, resource_id: str | None, *, since: datetime | None, count: int, after: tuple[Any, ...] | None
    ) -> Versions:
        """Versions of one resource or of a kind, the newest first; RetryLater."""

    async def search(self, asked: Search) -> Page:
        """A page of those that match; SearchRefused for what takes too long, RetryLater."""
