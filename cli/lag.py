"""How far each consumer is behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nats.js.errors
from nats.js import JetStreamContext

from shared.messaging.plan import Plan


@dataclass(frozen=True)
class Lag:
    """``pending``: not delivered yet; ``unsettled``: delivered, not acknowledged; ``repeated``: those delivered again.

    A consumer that is planned and missing has ``exists`` False and zeros.
    """

    service: str
    consumer: str
    stream: str
    pending: int = 0
    unsettled: int = 0
    repeated: int = 0
    exists: bool = True

    @property
    def total(self) -> int:
        """Everything that is not done."""
        return self.pending + self.unsettled


async def lag(jetstream: JetStreamContext, plan: Plan, parameters: Mapping[str, Sequence[str]]) -> list[Lag]:
    """The lag of every durable consumer of a site, in the plan's order."""
    told = []
    for durable in plan.durables(parameters):
        named = Lag(durable.plan.service, durable.name, durable.plan.stream, exists=False)
        try:
            info = await jetstream.consumer_info(durable.plan.stream, durable.name)
        except nats.js.errors.NotFoundError:
            told.append(named)
            continue
        told.append(
            Lag(
                named.service,
                named.consumer,
                named.stream,
                info.num_pending or 0,
                info.num_ack_pending or 0,
                info.num_redelivered or 0,
            )
        )
    return told
