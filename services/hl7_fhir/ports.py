"""What the handlers need from outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from services.hl7_fhir.domain.decision import Decision, Name
from services.hl7_fhir.domain.refusal import Refused


@dataclass(frozen=True)
class Arrival:
    """A message as it came. ``ref`` stands for its name and bytes, ``name_ref`` for its name alone."""

    ref: str
    name_ref: str
    name: Name = field(repr=False)
    sha256: str
    content: bytes = field(repr=False)
    received: datetime


class Journal(Protocol):
    """Keeps messages and does what they say, each in one transaction with the events that follow."""

    async def take(self, arrival: Arrival, decision: Decision) -> None:
        """Keep the message, change its patient and orders, queue the events; AlreadyDone for a repeat, RetryLater."""

    async def refuse(self, arrival: Arrival, refusal: Refused) -> None:
        """Keep a message that cannot be taken, with the reason; RetryLater."""


@dataclass(frozen=True)
class Stored:
    """A version of a resource; ``body`` has neither id nor meta."""

    type: str
    id: str
    version: int
    updated: datetime
    message_ref: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Query:
    """A search by ``_id``, ``identifier`` (system, value; system None: any) and ``patient``.

    Each holds one group of alternatives for every time the parameter was given.
    """

    type: str
    ids: tuple[tuple[str, ...], ...] = ()
    identifiers: tuple[tuple[tuple[str | None, str], ...], ...] = ()
    patients: tuple[tuple[str, ...], ...] = ()
    limit: int = 50
    offset: int = 0


class Resources(Protocol):
    """Reads what the messages made."""

    async def read(self, kind: str, resource_id: str, version: int | None = None) -> Stored | None:
        """The present version, or an earlier one."""

    async def search(self, query: Query) -> tuple[int, tuple[Stored, ...]]:
        """How many match, and those from ``offset`` on."""
