"""What handlers of messages need from outside."""

from collections.abc import Sequence
from typing import Protocol

from services.hl7_fhir.domain.intake.arrival import Name
from services.hl7_fhir.domain.intake.keeping import Entry, Kept, State
from services.hl7_fhir.domain.intake.senders import Origin, Sender


class Registry(Protocol):
    """Who sends."""

    def who(self, name: Name, origin: Origin) -> Sender | None:
        """The sender of a message; None when it is nobody who may send."""

    def named(self, name: str) -> Sender:
        """The sender called ``name``; how strangers are read for one that is not registered."""


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

    async def next_is_long(self) -> bool:
        """Whether the next message is so long that it is mapped alone; RetryLater."""

    async def give_up(self, reason: str) -> None:
        """Set the message at which mapping ended last aside for a person; RetryLater."""


class Archive(Protocol):
    """The messages that were kept, for an operator."""

    async def listed(
        self, states: Sequence[State], limit: int, before: int | None = None, flag: str | None = None
    ) -> tuple[Kept, ...]:
        """Messages in one of ``states``, with ``flag`` if one is given, the newest first; RetryLater."""

    async def counts(self) -> dict[str, int]:
        """How many are in each state but done; RetryLater."""

    async def one(self, ref: str) -> tuple[Kept, bytes | None] | None:
        """A message with its bytes; RetryLater."""

    async def lost(self, ref: str) -> tuple[str, ...]:
        """The fields of a message that were valued and went nowhere; RetryLater."""

    async def losses(self, sender: str | None, limit: int) -> Sequence[tuple[str, str, int]]:
        """(MSH-3, field, messages) of all senders or one, the most frequent first; RetryLater."""

    async def settle(self, ref: str, state: State) -> bool:
        """Decide about a message that was refused or has failed; RetryLater."""
