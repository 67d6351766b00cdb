"""The bus of the contracts for the services that a test has: each consumer of it is a write that waits for a disk."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from contracts.streams import documents
from shared.messaging.plan import read_plan
from shared.messaging.provision import provision
from tests.support.nats import NatsServer


async def provision_for(
    server: NatsServer,
    services: Collection[str],
    parameters: Mapping[str, Sequence[str]],
    *,
    ack_wait: float | None = None,
) -> None:
    """Make all streams, and the consumers of these services; ``ack_wait`` in seconds where it is not the contract's."""
    plan, changed = read_plan(*documents()), {} if ack_wait is None else {"ack_wait": ack_wait}
    consumers = tuple(replace(each, **changed) for each in plan.consumers if each.service in services)
    async with server.jetstream() as jetstream:
        await provision(jetstream, replace(plan, consumers=consumers), parameters)
