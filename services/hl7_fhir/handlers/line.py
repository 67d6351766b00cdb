"""What a sender needs from outside: the queue of its receiver, and the connection to it."""

from typing import Protocol

from services.hl7_fhir.domain.outgoing.answers import Answer
from services.hl7_fhir.domain.outgoing.receivers import Ahead, Held, Waiting


class Line(Protocol):
    """The queue of one receiver; every answer says whether this process holds it."""

    async def claim(self) -> Held | None:
        """Take the queue, or hold it longer; RetryLater."""
        ...

    async def leave(self) -> None:
        """Let another process have the queue; RetryLater."""
        ...

    async def ahead(self) -> Ahead:
        """The next messages in their order; RetryLater."""
        ...

    async def fits(self, waiting: Waiting) -> bool:
        """Whether a message of our own fits its profile."""
        ...

    async def done(self, waiting: Waiting) -> Held | None:
        """The receiver has it; RetryLater."""
        ...

    async def set_aside(self, waiting: Waiting, reason: str) -> Held | None:
        """A person decides about it; RetryLater."""
        ...

    async def again(self, waiting: Waiting, reason: str) -> Held | None:
        """It was tried in vain; RetryLater."""
        ...


class Link(Protocol):
    """The connection to the receiver."""

    async def exchange(self, content: bytes) -> Answer:
        """Its answer; RetryLater when there is none."""
        ...

    async def close(self) -> None:
        """Hang up; the next exchange connects again."""
        ...

    async def leave(self) -> None:
        """Hang up for good."""
        ...
