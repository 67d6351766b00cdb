"""What the handlers need from outside."""

from typing import Protocol

from services.hl7_fhir.domain.arrival import Arrival
from services.hl7_fhir.domain.decision import Decision
from services.hl7_fhir.domain.fhir import Stored
from services.hl7_fhir.domain.refusal import Refused
from services.hl7_fhir.domain.search import Search


class Journal(Protocol):
    """Keeps messages and does what they say, each in one transaction with the events that follow."""

    async def take(self, arrival: Arrival, decision: Decision) -> None:
        """Keep the message, change its patient and orders, queue the events; AlreadyDone for a repeat, RetryLater."""

    async def refuse(self, arrival: Arrival, refusal: Refused) -> None:
        """Keep a message that cannot be taken, with the reason; RetryLater."""


class Resources(Protocol):
    """Reads what the messages made."""

    async def read(self, kind: str, resource_id: str, version: int | None = None) -> Stored | None:
        """The present version, or an earlier one; RetryLater."""

    async def search(self, asked: Search) -> tuple[int, tuple[Stored, ...]]:
        """How many match, and the page that was asked for; RetryLater."""
