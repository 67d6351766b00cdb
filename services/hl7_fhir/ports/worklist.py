"""What the handlers of scheduled steps and of the worklist need from outside."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from contracts.events import StepReported
from services.hl7_fhir.domain.worklist.query import Query


@dataclass(frozen=True)
class Answers:
    """Responses to one C-FIND: the status of each of ``identifiers``, or without any the last status."""

    status: int
    identifiers: tuple[bytes, ...] = field(repr=False)
    comment: str = ""


class Page(Protocol):
    """Some identifiers of answers, and after which step the next page begins: None at the end."""

    @property
    def answers(self) -> tuple[bytes, ...]:
        """The identifiers."""

    @property
    def after(self) -> tuple[str, str] | None:
        """Time and id of the last step."""


class WorklistPages(Protocol):
    """The steps that are to be done."""

    async def page(
        self, query: Query, *, caller: str, explicit: bool, after: tuple[str, str] | None, count: int
    ) -> Page:
        """The next ``count`` matches; RetryLater."""


class PerformedSteps(Protocol):
    """Learns how steps were performed, each time in one transaction; RetryLater."""

    async def report(self, event: StepReported, ref: str, now: datetime) -> None:
        """A modality reported."""

    async def images(self, study_uid: str, state: str, ref: str, now: datetime) -> None:
        """Images of a study are here: ``received`` or ``completed``."""
