"""The bus: one connection of one service, and the only way to publish."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import nats
import nats.errors
import nats.js.errors
from faststream.middlewares import AckPolicy
from faststream.nats import NatsBroker
from faststream.nats.broker.broker import UNRECOVERABLE_CONNECT_ERRORS
from nats.aio.client import Client
from nats.js import JetStreamContext
from opentelemetry import trace
from pydantic import BaseModel

from shared.errors import RetryLater, Unprocessable
from shared.messaging.cloudevent import CloudEvent, data_schema, encode, headers
from shared.messaging.connection import PERSISTENCE, BusSettings, inbox_prefix, security
from shared.messaging.tracing import BODY_SIZE, current_traceparent, references, sending
from shared.observability import logger, metrics

PUBLISH_TIMEOUT = 5.0
PUBLISH_ATTEMPTS = 2
GRACEFUL_TIMEOUT = 20.0
DRAIN_TIMEOUT = 5

log = logger("causeway.bus")


class BusAway(RetryLater):
    """Nothing can be published now: ``bus-away``, ``bus-timeout``, ``stream-missing`` or ``stream-refused``."""


class EventTooLarge(Unprocessable):
    """The event exceeds the largest message that the bus carries."""


@dataclass(frozen=True)
class Letter:
    """An event that waits to be sent. ``traceparent`` is that of the span that caused it."""

    id: str
    subject: str
    stream: str
    data: Mapping[str, Any]
    time: datetime
    traceparent: str | None = None
    links: tuple[str, ...] = ()


def letter(event: BaseModel, *, id: str, traceparent: str | None = None, links: Iterable[str] = ()) -> Letter:  # noqa: A002
    """Make a letter of ``event`` (a contracts event) in the current trace, or in that of ``traceparent``."""
    kind: Any = type(event)
    parent = traceparent or current_traceparent()
    return Letter(
        id, kind.subject, kind.stream(), event.model_dump(mode="json"), datetime.now(UTC), parent, tuple(links)
    )


class _Broker(NatsBroker):
    """A broker that can be stopped while the bus is away: nats-py refuses to drain then."""

    stopping = False

    async def stop(self, *error: Any) -> None:
        """End the connection, sending what is written where it stands."""
        self.stopping = True
        client = self._connection
        if client is not None and not client.is_connected:
            self._connection = None
            # What is still to be written to a connection that is gone can't be.
            with suppress(OSError):
                await client.close()
        await super().stop(*error)


@dataclass
class Bus:
    """The connection of ``service`` to the bus. It is made by ``connect`` (or by the broker's start), never before.

    Seconds: ``publish_timeout`` until a publish or an acknowledgement counts as unanswered, ``graceful_timeout`` for
    handlers at the end.
    """

    settings: BusSettings
    service: str
    publish_timeout: float = PUBLISH_TIMEOUT
    graceful_timeout: float = GRACEFUL_TIMEOUT
    broker: _Broker = field(init=False, repr=False)
    _up: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _failure: asyncio.Future[None] | None = field(default=None, init=False, repr=False)
    _on_reconnect: list[Callable[[], None]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.broker = _Broker(
            self.settings.nats_url,
            name=self.service,
            inbox_prefix=inbox_prefix(self.service),
            **PERSISTENCE,
            security=security(self.settings),
            drain_timeout=DRAIN_TIMEOUT,
            reconnected_cb=self._reconnected,
            disconnected_cb=self._disconnected,
            error_cb=self._error,
            closed_cb=self._closed,
            graceful_timeout=self.graceful_timeout,
            ack_policy=AckPolicy.MANUAL,
            # The envelope is decoded by ``cloudevent.decode``; FastStream's own validation would tell what it saw.
            apply_types=False,
            logger=None,
        )

    @property
    def source(self) -> str:
        """The CloudEvents source of what this service says."""
        return f"/causeway/{self.settings.site}/{self.service}"

    @property
    def client(self) -> Client:
        """The NATS connection; BusAway before the first one is made."""
        client = getattr(self.broker, "_connection", None)
        if client is None:
            raise BusAway("bus-away")
        return client

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream with a patient time-out; BusAway before the first connection."""
        return self.client.jetstream(timeout=self.publish_timeout)

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        client = getattr(self.broker, "_connection", None)
        return client is not None and client.is_connected

    async def connect(self) -> None:
        """Connect; waits as long as the bus is away."""
        await self.broker.connect()
        self._up.set()

    async def until_connected(self) -> None:
        """Return when the connection stands."""
        await self._up.wait()

    async def close(self) -> None:
        """Close the connection, sending what is written."""
        await self.broker.stop()
        self._up.clear()

    def fail(self, error: Exception) -> None:
        """Say that the bus can't serve this process any longer; whoever waits in ``until_failed`` hears it."""
        failure = self._failure_future()
        if not failure.done():
            failure.set_exception(error)

    async def until_failed(self) -> None:
        """Wait, for ever when all is well; raises what ``fail`` was told."""
        await asyncio.shield(self._failure_future())

    def _failure_future(self) -> "asyncio.Future[None]":
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    def on_reconnect(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after each reconnection."""
        self._on_reconnect.append(wake)

    async def publish(
        self,
        event: BaseModel,
        *,
        id: str,  # noqa: A002
        links: Iterable[str] = (),
        traceparent: str | None = None,
    ) -> int:
        """Publish ``event`` until the stream has it; its sequence in the stream (of a repeat: the first one's).

        ``links`` are traceparents of further causes, ``traceparent`` a cause other than the current span. Raises
        BusAway when it is unknown whether the stream has it (a repeat with the same ``id`` is safe), EventTooLarge.
        """
        return await self.send(letter(event, id=id, traceparent=traceparent, links=links))

    async def send(self, sent: Letter) -> int:
        """Publish a letter as ``publish`` does."""
        about = references(sent.data)
        with sending(sent.subject, sent.id, sent.traceparent, sent.links, about) as traceparent:
            envelope = CloudEvent[Mapping[str, Any]](
                id=sent.id,
                source=self.source,
                type=sent.subject,
                time=sent.time,
                dataschema=data_schema(sent.subject),
                traceparent=traceparent or sent.traceparent,
                data=sent.data,
            )
            body = encode(envelope)
            trace.get_current_span().set_attribute(BODY_SIZE, len(body))
            return await self.publish_raw(sent.stream, sent.subject, body, headers(envelope))

    async def publish_raw(self, stream: str, subject: str, body: bytes, header: dict[str, str]) -> int:
        """Publish bytes to a stream until its PubAck; errors as ``publish``."""
        for attempt in range(1, PUBLISH_ATTEMPTS + 1):
            try:
                return await self._publish_once(stream, subject, body, dict(header))
            except nats.errors.MaxPayloadError:
                raise EventTooLarge("event-too-large") from None
            except (nats.errors.TimeoutError, TimeoutError):
                if attempt == PUBLISH_ATTEMPTS:
                    raise BusAway("bus-timeout") from None
            except nats.js.errors.NoStreamResponseError:
                raise BusAway("stream-missing") from None
            except nats.js.errors.APIError as refusal:
                log.warning("publish-refused", stream=stream, code=f"js-{refusal.err_code}")
                raise BusAway("stream-refused") from None
            except (nats.errors.Error, OSError):
                raise BusAway("bus-away") from None
        raise BusAway("bus-timeout")

    async def _publish_once(self, stream: str, subject: str, body: bytes, header: dict[str, str]) -> int:
        if not self.connected:
            raise BusAway("bus-away")
        with metrics().timed("causeway_publish_seconds"):
            ack = await self.jetstream.publish(
                subject, body, timeout=self.publish_timeout, stream=stream, headers=header
            )
        metrics().count("causeway_published_total", subject=subject)
        return ack.seq

    async def _reconnected(self) -> None:
        log.info("bus-connected", service=self.service)
        self._up.set()
        for wake in self._on_reconnect:
            wake()

    async def _disconnected(self) -> None:
        log.warning("bus-lost", service=self.service)
        self._up.clear()

    async def _closed(self) -> None:
        self._up.clear()
        if not self.broker.stopping:
            # Nothing opens it again: FastStream's loop would go on asking it, without a pause, for ever.
            self.fail(nats.errors.ConnectionClosedError())

    async def _error(self, error: Exception) -> None:
        log.warning("bus-error", service=self.service, error=type(error).__name__)
        # FastStream raises these again, inside nats-py's reconnection task, which then ends without a word.
        if str(error).removeprefix("nats: ").strip("'").lower() in UNRECOVERABLE_CONNECT_ERRORS:
            self.fail(error)
