"""What the handlers need from outside."""

from typing import Protocol

from services.hl7_fhir.domain.arrival import Name
from services.hl7_fhir.domain.fhir import Stored
from services.hl7_fhir.domain.keeping import Entry
from services.hl7_fhir.domain.search import Search
from services.hl7_fhir.domain.senders import Origin, Sender


class Registry(Protocol):
    """Who sends."""

    def who(self, name: Name, origin: Origin) -> Sender | None:
        """The sender of a message; None when it is nobody who may send."""


class Profiles(Protocol):
    """Holds messages against the profile of their version."""

    async def validate(self, content: bytes, charset: str) -> None:
        """Return when nothing is wrong; a Refused, or RetryLater."""


class Journal(Protocol):
    """Keeps messages."""

    async def keep(self, entry: Entry, *, hold: bool = False) -> None:
        """Return when the message is durable; RetryLater when it cannot be kept, at once or after ``hold``."""


class Waiting(Protocol):
    """The messages that are kept and not yet mapped."""

    async def map_some(self, limit: int) -> int:
        """Do the next ``limit`` messages, in one transaction with the events that follow: how many; RetryLater."""

    async def give_up_first(self, reason: str) -> None:
        """Set the next message aside for a person; RetryLater."""


class Resources(Protocol):
    """Reads what the messages made."""

    async def read(self, kind: str, resource_id: str, version: int | None = None) -> Stored | None:
        """The present version, or an earlier one; RetryLater."""

    async def search(self, asked: Search) -> tuple[int, tuple[Stored, ...]]:
        """How many match, and the page that was asked for; RetryLater."""
