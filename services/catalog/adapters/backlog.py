"""How far the catalogue's own consumer of landing batches is behind its stream."""

import nats.errors
import nats.js.errors

from contracts.events import BatchStored
from shared.errors import RetryLater
from shared.messaging.bus import Bus
from shared.messaging.names import durable


class StreamBacklog:
    """Asks the bus what waits for the durable consumer of ``batch.stored``."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._bus = bus
        self._durable = durable(service, BatchStored.subject)

    async def is_empty(self) -> bool:
        """Whether nothing waits and nothing is in work; no while the bus is away, for then nobody knows."""
        try:
            info = await self._bus.jetstream.consumer_info(BatchStored.stream(), self._durable)
        except (RetryLater, nats.errors.Error, nats.js.errors.APIError):
            return False
        return not info.num_pending and not info.num_ack_pending
