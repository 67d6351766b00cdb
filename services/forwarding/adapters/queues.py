"""How much waits for a destination, as the bus knows it."""

import nats.errors
import nats.js.errors

from contracts.events import Event
from shared.errors import RetryLater
from shared.messaging.bus import Bus
from shared.messaging.names import durable


class Queues:
    """The durable consumers of the destinations."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def backlog(self, destination: str, event: type[Event]) -> int | None:
        """Events that are not settled, the one in work among them; None when the bus does not answer."""
        name = durable("forwarding", event.subject, destination)
        try:
            info = await self._bus.jetstream.consumer_info(event.stream(), name)
        except (nats.errors.Error, nats.js.errors.APIError, RetryLater, OSError):
            return None
        return (info.num_pending or 0) + (info.num_ack_pending or 0)
