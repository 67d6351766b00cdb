"""What the handlers need from outside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from services.hl7_fhir.domain.arrival import Arrival
from services.hl7_fhir.domain.conditions import Search
from services.hl7_fhir.domain.decision import Decision
from services.hl7_fhir.domain.fhir import Stored
from services.hl7_fhir.domain.found import Page, Versions
from services.hl7_fhir.domain.refusal import Refused
from services.hl7_fhir.domain.writes import Write


class Journal(Protocol):
    """Keeps messages and does what they say, each in one transaction with the events that follow."""

    async def take(self, arrival: Arrival, decision: Decision) -> None:
        """Keep the message, change its patient and orders, queue the events; AlreadyDone for a repeat, RetryLater."""

    async def refuse(self, arrival: Arrival, refusal: Refused) -> None:
        """Keep a message that cannot be taken, with the reason; RetryLater."""


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
