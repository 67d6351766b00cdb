"""What the handlers need from outside."""

from datetime import datetime
from typing import Any, Protocol

from contracts.events import Blob
from services.hl7_fhir.domain.arrival import Arrival
from services.hl7_fhir.domain.deciding import Verdict
from services.hl7_fhir.domain.decision import Decision
from services.hl7_fhir.domain.fhir import Stored
from services.hl7_fhir.domain.hearing import Heard
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


class Documents(Protocol):
    """Reads what claim checks stand for."""

    async def read(self, blob: Blob) -> bytes:
        """The document; RetryLater, CausewayError when it is not there."""


class StudyJournal(Protocol):
    """Keeps what is told of studies."""

    async def hear(self, heard: Heard, ref: str, now: datetime) -> None:
        """Change the ImagingStudy, tie it, queue the event; AlreadyDone for what is known, RetryLater."""


class Matches(Protocol):
    """The work list of studies that nothing ties for certain."""

    async def listed(self, reason: str | None, limit: int, offset: int) -> tuple[int, list[dict[str, Any]]]:
        """How many wait, and some of them, those that wait longest first; RetryLater."""

    async def shown(self, study: str) -> dict[str, Any] | None:
        """One study with its candidates and decisions; RetryLater."""

    async def decide(self, study: str, verdict: Verdict, who: str, now: datetime) -> dict[str, Any] | None:
        """Write down a decision, do it, and show the study; Unprocessable when it names what is not there."""
