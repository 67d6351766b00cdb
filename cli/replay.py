"""Replay: let every durable consumer of a service read its stream again, from a sequence or a time.

Each consumer is paused, reset and resumed (nats-server 2.14 or later). Others notice nothing; acknowledgements from
before the reset are ignored by the server until it gives the message out again, and held back by ``attempts`` after
that; deleting and making the consumer again would end the service.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, ConsumerInfo, DeliverPolicy

from shared.messaging.plan import Plan

_PAUSED = timedelta(minutes=5)
_PROBE_LIFE = 5.0


@dataclass(frozen=True)
class Replayed:
    """What a replay of one consumer delivers again: ``messages`` from stream sequence ``start`` on."""

    consumer: str
    stream: str
    start: int
    messages: int


async def replay(
    jetstream: JetStreamContext,
    plan: Plan,
    parameters: Mapping[str, Sequence[str]],
    service: str,
    start: int | datetime,
    *,
    dry_run: bool = False,
) -> list[Replayed]:
    """Replay ``service`` from a stream sequence (1 is the first) or a moment; ``dry_run`` only counts.

    ValueError when the service consumes nothing. A consumer that is missing raises NotFoundError before any is reset.
    """
    durables = [durable for durable in plan.durables(parameters) if durable.plan.service == service]
    if not durables:
        raise ValueError("this service consumes nothing")
    found = [await jetstream.consumer_info(durable.plan.stream, durable.name) for durable in durables]
    planned = [await _count(jetstream, info, start) for info in found]
    if not dry_run:
        await _reset(jetstream, [one for one in planned if one.messages])
    return planned


async def _count(jetstream: JetStreamContext, info: ConsumerInfo, start: int | datetime) -> Replayed:
    """Ask the server, by a consumer that lives for seconds, what lies ahead of ``start``."""
    by_time = isinstance(start, datetime)
    probe = ConsumerConfig(
        filter_subjects=_filters(info.config),
        deliver_policy=DeliverPolicy.BY_START_TIME if by_time else DeliverPolicy.BY_START_SEQUENCE,
        opt_start_time=start.astimezone(UTC) if isinstance(start, datetime) else None,
        opt_start_seq=None if isinstance(start, datetime) else max(start, 1),
        inactive_threshold=_PROBE_LIFE,
        mem_storage=True,
    )
    made = await jetstream.add_consumer(info.stream_name, probe)
    first = made.delivered.stream_seq + 1 if made.delivered else 1
    await jetstream.delete_consumer(info.stream_name, made.name)
    return Replayed(info.name, info.stream_name, first, made.num_pending or 0)


def _filters(config: ConsumerConfig) -> list[str]:
    return config.filter_subjects or ([config.filter_subject] if config.filter_subject else [])


async def _reset(jetstream: JetStreamContext, planned: Iterable[Replayed]) -> None:
    for one in planned:
        until = (datetime.now(UTC) + _PAUSED).isoformat().replace("+00:00", "Z")
        await jetstream.pause_consumer(one.stream, one.consumer, until)
        try:
            await jetstream.reset_consumer(one.stream, one.consumer, one.start)
        finally:
            # Should this process die in between, the pause ends by itself.
            await jetstream.resume_consumer(one.stream, one.consumer)


__all__ = ["Replayed", "replay"]
