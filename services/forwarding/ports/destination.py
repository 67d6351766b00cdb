"""A destination, and what is known of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from contracts.events import Event
from contracts.formats.manifest import Instance
from services.forwarding.domain.answers import Outcome
from services.forwarding.domain.forwards import Order, Result
from services.forwarding.ports.content import Source


class Sender(Protocol):
    """A destination."""

    async def prepare(self, instances: Sequence[Instance], others: Sequence[Instance] = ()) -> None:
        """Say what is going to be sent, and as what ``others`` it may be, so that it is negotiated once."""
        ...

    async def store(self, instance: Instance, source: Source) -> Outcome:
        """Send one instance; DestinationAway, and what ``source`` raises: then nothing of it was taken."""
        ...

    async def probe(self) -> None:
        """Returns when the destination is there; DestinationAway."""
        ...

    async def close(self) -> None:
        """Give back what is open."""
        ...


class Ledger(Protocol):
    """What became of instances at one destination."""

    async def known(self, instances: Sequence[Instance]) -> Mapping[str, Outcome]:
        """The outcomes of those that are settled, by ``key_of``."""
        ...

    async def record(self, batch_id: str, results: Sequence[Result]) -> None:
        """Keep outcomes, durable on return."""
        ...

    async def finish(self, order: Order, results: Mapping[str, Outcome], told: Sequence[Event]) -> None:
        """A batch is settled: keep the sums, and tell."""
        ...

    async def stands(self, **values: Any) -> None:
        """Note where the queue stands: ``oldest``, ``away``, ``away_since`` (seconds since 1970), ``held``."""
        ...

    async def next_asked(self) -> Order | None:
        """A batch that an operator wants tried again."""
        ...
