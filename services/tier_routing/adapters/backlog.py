"""How far the ledger's own consumer of landing batches is in its stream."""

import nats.errors
import nats.js.errors

from contracts.events import BatchStored
from shared.errors import RetryLater
from shared.messaging.bus import Bus
from shared.messaging.names import durable


class StreamBacklog:
    """Asks the bus what the durable consumer of ``batch.stored``, which all processes share, has settled."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._bus = bus
        self._durable = durable(service, BatchStored.subject)

    async def is_settled(self, sequence: int) -> bool:
        """Whether every batch told before this place in the stream is; no while the bus is away: nobody knows."""
        try:
            info = await self._bus.jetstream.consumer_info(BatchStored.stream(), self._durable)
        except (RetryLater, nats.errors.Error, nats.js.errors.APIError):
            return False
        reached = info.ack_floor.stream_seq if info.ack_floor else 0
        return reached >= sequence or not (info.num_pending or info.num_ack_pending)
