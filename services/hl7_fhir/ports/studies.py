"""What handlers of studies need from outside."""

from datetime import datetime
from typing import Any, Protocol

from contracts.events import Blob
from services.hl7_fhir.domain.studies.deciding import Verdict
from services.hl7_fhir.domain.studies.hearing import Heard


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
