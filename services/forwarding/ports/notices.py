"""A RIS that is told of steps and instances, and what is known of that."""

from typing import Any, Protocol

from contracts.events import Blob
from services.forwarding.domain.answers import Outcome
from services.forwarding.domain.notices import Answer, Item, Notice


class Documents(Protocol):
    """What claim checks stand for."""

    async def read(self, blob: Blob) -> bytes:
        """All of it; InputMissing, RetryLater."""
        ...


class Notifier(Protocol):
    """A RIS."""

    async def send(self, notice: Notice) -> Answer:
        """Send one notice; DestinationAway, and InputDamaged for one that cannot be encoded as the RIS wants it."""
        ...

    async def probe(self) -> None:
        """Returns when the RIS is there; DestinationAway."""
        ...

    async def close(self) -> None:
        """Give back what is open."""
        ...


class NoticeLedger(Protocol):
    """What became of notices at one destination."""

    async def known(self, item: Item) -> Outcome | None:
        """How it ended; None while it has not."""
        ...

    async def trying(self, item: Item, sop_instance: str) -> int:
        """It is about to be sent: the number of this attempt, durable on return."""
        ...

    async def settle(self, item: Item, outcome: Outcome) -> None:
        """Keep how it ended."""
        ...

    async def stands(self, **values: Any) -> None:
        """Note where the queue stands: ``oldest``, ``away``, ``away_since`` (seconds since 1970), ``held``."""
        ...

    async def next_asked(self) -> Item | None:
        """The first of those that an operator wants tried again."""
        ...
