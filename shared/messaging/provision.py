"""The provisioner: makes streams and durable consumers what the plan says, and changes nothing twice.

It is the only one who does. A service that declared its stream would reset what operations set; a consumer that a
service made would keep the settings of its first day, for nobody compares them again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from shared.messaging.attempts import BUCKET, BUCKET_TTL
from shared.messaging.connection import BusSettings, open_client
from shared.messaging.plan import Durable, Plan, StreamPlan

_PAUSE = 0.25


@dataclass(frozen=True)
class Change:
    """What was done: ``made``, ``updated``, ``removed``, or left as it is (``kept``, ``stray``)."""

    what: str
    name: str
    how: str


async def provision(
    jetstream: JetStreamContext,
    plan: Plan,
    parameters: Mapping[str, Sequence[str]],
    *,
    prune: bool = False,
) -> list[Change]:
    """Bring the bus to ``plan``; a second run finds everything ``kept``.

    Consumers of ours that the plan no longer has are reported as ``stray``, and deleted only by ``prune``.
    """
    changes = [await _ensure_stream(jetstream, stream) for stream in plan.streams]
    changes.append(await _ensure_bucket(jetstream, max((stream.replicas for stream in plan.streams), default=1)))
    durables = plan.durables(parameters)
    changes += [await _ensure_consumer(jetstream, durable) for durable in durables]
    return changes + await _strays(jetstream, plan, durables, prune)


async def provision_site(
    settings: BusSettings, plan: Plan, parameters: Mapping[str, Sequence[str]], *, wait: float = 60, prune: bool = False
) -> list[Change]:
    """Connect, wait at most ``wait`` seconds for JetStream to answer, ``provision``. TimeoutError when it doesn't."""
    client = await asyncio.wait_for(open_client(settings, "provisioner", error_cb=_quiet), wait)
    try:
        jetstream = client.jetstream(timeout=10)
        await _until_answering(jetstream, time.monotonic() + wait)
        return await provision(jetstream, plan, parameters, prune=prune)
    finally:
        await client.close()


async def _quiet(error: Exception) -> None:
    """The wait says enough."""


async def _until_answering(jetstream: JetStreamContext, deadline: float) -> None:
    while True:
        try:
            await jetstream.account_info()
        except (nats.errors.Error, nats.js.errors.APIError):
            if time.monotonic() > deadline:
                raise TimeoutError from None
            await asyncio.sleep(_PAUSE)
        else:
            return


def stream_config(plan: StreamPlan) -> StreamConfig:
    """The configuration of a stream: limits retention, file storage, ``discard: new``."""
    return StreamConfig(
        name=plan.name,
        description=plan.description,
        subjects=plan.all_subjects(),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=plan.max_age,
        max_bytes=plan.max_bytes,
        duplicate_window=plan.duplicate_window,
        num_replicas=plan.replicas,
        allow_direct=True,
    )


def consumer_config(durable: Durable) -> ConsumerConfig:
    """The configuration of a durable pull consumer: explicit acknowledgement, never given up by the server."""
    return ConsumerConfig(
        name=durable.name,
        durable_name=durable.name,
        filter_subjects=durable.filters(),
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=durable.plan.ack_wait,
        max_deliver=-1,
        max_ack_pending=durable.plan.max_ack_pending,
    )


async def _ensure_stream(jetstream: JetStreamContext, plan: StreamPlan) -> Change:
    wanted = stream_config(plan)
    try:
        found = (await jetstream.stream_info(plan.name)).config
    except nats.js.errors.NotFoundError:
        await jetstream.add_stream(wanted)
        return Change("stream", plan.name, "made")
    if _same(found, wanted):
        return Change("stream", plan.name, "kept")
    await jetstream.update_stream(wanted)
    return Change("stream", plan.name, "updated")


async def _ensure_bucket(jetstream: JetStreamContext, replicas: int) -> Change:
    try:
        await jetstream.stream_info(f"KV_{BUCKET}")
    except nats.js.errors.NotFoundError:
        bucket = KeyValueConfig(bucket=BUCKET, ttl=BUCKET_TTL, history=1, replicas=replicas, direct=True)
        await jetstream.create_key_value(bucket)
        return Change("bucket", BUCKET, "made")
    return Change("bucket", BUCKET, "kept")


async def _ensure_consumer(jetstream: JetStreamContext, durable: Durable) -> Change:
    wanted = consumer_config(durable)
    try:
        found = (await jetstream.consumer_info(durable.plan.stream, durable.name)).config
    except nats.js.errors.NotFoundError:
        await jetstream.add_consumer(durable.plan.stream, wanted)
        return Change("consumer", durable.name, "made")
    if _same(found, wanted):
        return Change("consumer", durable.name, "kept")
    await jetstream.add_consumer(durable.plan.stream, wanted)
    return Change("consumer", durable.name, "updated")


async def _strays(jetstream: JetStreamContext, plan: Plan, durables: Sequence[Durable], prune: bool) -> list[Change]:
    planned = {durable.name for durable in durables}
    services = {consumer.service for consumer in plan.consumers}
    changes = []
    for stream in plan.streams:
        for info in await jetstream.consumers_info(stream.name):
            if info.name in planned or not any(info.name.startswith(f"{service}_") for service in services):
                continue
            if prune:
                await jetstream.delete_consumer(stream.name, info.name)
            changes.append(Change("consumer", info.name, "removed" if prune else "stray"))
    return changes


def _same(found: object, wanted: object) -> bool:
    """Whether everything that the plan sets is so; what it leaves open (None) may be anything."""
    return all(_equal(getattr(found, name), value) for name, value in vars(wanted).items() if value is not None)


def _equal(found: object, wanted: object) -> bool:
    if isinstance(wanted, list) and isinstance(found, list):
        return sorted(map(str, found)) == sorted(map(str, wanted))
    return found == wanted
