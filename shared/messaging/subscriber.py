"""A FastStream subscriber of one durable consumer that pulls a message only for a hand that is free.

FastStream's own pull loop spins without a word when the consumer is gone, freezes the event loop when the connection
is closed, waits for the slowest of a batch, drops what it fetched when it stops, and creates a consumer with defaults
when it finds none. This loop has *slots*: each asks for one message, works on it, and asks for the next.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import nats.errors
import nats.js.errors
from faststream._internal.broker.registrator import Registrator
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.middlewares import AckPolicy
from faststream.nats.message import NatsMessage
from faststream.nats.schemas import JStream, PullSub
from faststream.nats.subscriber.config import NatsSubscriberConfig, NatsSubscriberSpecificationConfig
from faststream.nats.subscriber.specification import NatsSubscriberSpecification
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import ConsumerConfig

from shared.messaging.bus import Bus
from shared.observability import logger, metrics

#: Seconds that one pull waits at the server (one that was reset answers only the pulls that follow), and that we wait
#: for an answer that is overdue.
PULL_EXPIRES = 5.0
PULL_PATIENCE = 5.0
PAUSE = 1.0

log = logger("causeway.bus")


class ConsumerLost(Exception):
    """A durable consumer that was there is there no longer; only the provisioner makes it again."""


class Slot:
    """One pull at a time from one consumer, each answered by one message or one status."""

    def __init__(self, bus: Bus, stream: str, durable: str) -> None:
        self._bus = bus
        self._request = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._inbox: Subscription | None = None
        self._is_stale = False
        self._is_waiting = False
        self._is_asked = False
        bus.on_reconnect(self._wake)

    async def pull(self) -> Msg | None:
        """The next message; None when there was none in time or the connection changed.

        ServiceUnavailableError when nothing answers for the consumer, nats errors when the connection is away.
        """
        if self._is_stale:
            await self.close()
        if self._inbox is None:
            await self._open()
        expires = json.dumps({"batch": 1, "expires": int(PULL_EXPIRES * 1e9)}).encode()
        await self._bus.client.publish(self._request, expires, reply=self._address)
        self._is_waiting = self._is_asked = True
        try:
            answer = await asyncio.wait_for(self._arrived.get(), PULL_EXPIRES + PULL_PATIENCE)
        except TimeoutError:
            answer = None
        finally:
            self._is_waiting = False
        if answer is None:
            # The request may still stand at the server: only a new inbox makes sure that it brings nothing unasked.
            await self.close()
            return None
        self._is_asked = False
        return self._judged(answer)

    async def close(self) -> None:
        """Stop listening, and give back what came unasked."""
        if self._inbox is not None:
            inbox, self._inbox = self._inbox, None
            await self._leave(inbox)
        self._is_stale = self._is_asked = False
        while not self._arrived.empty():
            left = self._arrived.get_nowait()
            if left is not None and _status(left) is None:
                with suppress(nats.errors.Error, OSError):
                    await left.nak()

    async def _leave(self, inbox: Subscription) -> None:
        """What answers a request that stands may be on its way: unheard, it would wait for its ack to time out."""
        try:
            if self._is_asked and self._bus.connected:
                async with asyncio.timeout(PULL_PATIENCE):
                    await inbox.drain()
            else:
                await inbox.unsubscribe()
        except (nats.errors.Error, OSError, TimeoutError):
            # nats-py closes it and keeps it then, and would ask for it again after a reconnection.
            inbox._stop_processing()
            inbox._conn._remove_sub(inbox._id)

    async def _open(self) -> None:
        self._address = self._bus.client.new_inbox()
        self._inbox = await self._bus.client.subscribe(self._address, cb=self._put)

    async def _put(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    def _wake(self) -> None:
        """After a reconnection nobody knows what became of a request, nor of an inbox."""
        self._is_stale = True
        if self._is_waiting:
            self._arrived.put_nowait(None)

    @staticmethod
    def _judged(answer: Msg) -> Msg | None:
        status = _status(answer)
        if status is None:
            return answer
        if status in {"404", "408"}:
            return None
        raise nats.js.errors.ServiceUnavailableError


def _status(message: Msg) -> str | None:
    return (message.headers or {}).get("Status") if not message.data else None


class DurableSubscriber(PullStreamSubscriber):
    """Works ``at_once`` messages of one durable consumer at a time."""

    def __init__(self, bus: Bus, *, subject: str, stream: str, durable: str, at_once: int) -> None:
        broker_config: Any = bus.broker.config
        calls: CallsCollection[Msg] = CallsCollection()
        super().__init__(
            NatsSubscriberConfig(
                subject=subject,
                sub_config=ConsumerConfig(durable_name=durable),
                extra_options={"durable": durable, "stream": stream},
                no_reply=True,
                _outer_config=broker_config,
                _ack_policy=AckPolicy.MANUAL,
            ),
            NatsSubscriberSpecification(
                _outer_config=broker_config,
                calls=calls,
                specification_config=NatsSubscriberSpecificationConfig(
                    subject=subject,
                    queue=None,
                    filter_subjects=[],
                    title_=durable,
                    description_=None,
                    include_in_schema=True,
                ),
            ),
            calls,
            queue="",
            pull_sub=PullSub(1),
            stream=JStream(stream, declare=False),
        )
        self.durable = durable
        self._bus = bus
        self._at_once = at_once
        self._slots: list[tuple[Slot, asyncio.Task[None]]] = []
        self._idle: set[asyncio.Task[None]] = set()

    async def _create_subscription(self) -> None:
        for _ in range(self._at_once):
            slot = Slot(self._bus, self.stream.name, self.durable)
            self._slots.append((slot, asyncio.create_task(self._serve(slot), name=self.durable)))

    async def stop(self) -> None:
        """Stop pulling at once; what is in work has the ``graceful_timeout``, then it is cancelled and given back."""
        self.running = False
        tasks = [task for _, task in self._slots]
        for task in self._idle & set(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._bus.graceful_timeout)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._slots.clear()

    async def _serve(self, slot: Slot) -> None:
        try:
            while self.running:
                message = await self._next(slot)
                if message is not None and self.running:
                    await self.consume(message)
                elif message is not None:
                    await message.nak()
        except (ConsumerLost, nats.errors.ConnectionClosedError) as error:
            log.error("consumer-lost", consumer=self.durable, error=type(error).__name__)
            self._bus.fail(error)
        finally:
            await slot.close()

    async def _next(self, slot: Slot) -> Msg | None:
        task = asyncio.current_task()
        if task is None:
            return None
        self._idle.add(task)
        try:
            await self._bus.until_connected()
            metrics().set("causeway_fetch_timestamp_seconds", time.time(), consumer=self.durable)
            return await slot.pull()
        except nats.errors.ConnectionClosedError:
            raise
        except nats.js.errors.ServiceUnavailableError:
            await self._require_consumer()
            await asyncio.sleep(PAUSE)
        except (nats.errors.Error, OSError):
            await asyncio.sleep(PAUSE)
        finally:
            self._idle.discard(task)
        return None

    async def _require_consumer(self) -> None:
        """The consumer answers for itself, or is lost; a bus that doesn't answer says neither."""
        try:
            await self._bus.jetstream.consumer_info(self.stream.name, self.durable)
        except nats.js.errors.NotFoundError:
            raise ConsumerLost(self.durable) from None
        except nats.errors.Error:
            return


def subscribe(
    bus: Bus,
    *,
    subject: str,
    stream: str,
    durable: str,
    at_once: int,
    handler: Callable[[Any], Awaitable[None]],
    decoder: Callable[[NatsMessage], Awaitable[Any]],
) -> DurableSubscriber:
    """Bind ``handler`` to a durable consumer; it gets what ``decoder`` makes of each message."""
    subscriber = DurableSubscriber(bus, subject=subject, stream=stream, durable=durable, at_once=at_once)
    Registrator.subscriber(bus.broker, subscriber)
    subscriber.add_call(parser_=None, decoder_=decoder, dependencies_=())
    subscriber(handler)
    return subscriber
