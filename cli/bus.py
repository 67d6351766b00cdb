"""The site's bus, as the commands use it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from cli.embedded.plan import site_plan
from cli.lag import lag
from cli.output import fail
from cli.site import Access, Site, SiteDown
from cli.targets import NoTargets, destinations_of, targets_of
from shared.messaging import deadletters

T = TypeVar("T")

_LOOPBACK = Access()


class BusDown(Exception):
    """The bus does not answer; the text says how it failed."""


class NotProvisioned(BusDown):
    """The bus answers, and lacks a stream or a consumer of the plan."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the bus has no {what}: `causeway provision` makes what is missing")


@asynccontextmanager
async def connected(url: str, access: Access = _LOOPBACK) -> AsyncIterator[JetStreamContext]:
    """JetStream of the site at ``url``, for the length of a command; BusDown as soon as it does not answer.

    What the server refuses (``nats.js.errors.APIError``) is an answer.
    """
    login = {"user": access.bus_user, "password": access.bus_password} if access.bus_user else {}
    told: list[Exception] = []

    async def note(error: Exception) -> None:
        told.append(error)

    patience = {"connect_timeout": 5, "max_reconnect_attempts": 1, "reconnect_time_wait": 0.5}
    try:
        client = await nats.connect(url, name="causeway-cli", error_cb=note, **patience, **login)
    except (nats.errors.Error, OSError) as error:
        raise _down(told[-1] if told else error) from None
    try:
        yield client.jetstream(timeout=10)
    except nats.js.errors.ServiceUnavailableError as error:
        raise _down(error) from None
    except nats.js.errors.APIError:
        raise
    except (nats.errors.Error, OSError) as error:
        raise _down(error) from None
    finally:
        await client.close()


def _down(error: Exception) -> BusDown:
    return BusDown(f"the bus does not answer ({str(error).removeprefix('nats: ') or type(error).__name__})")


async def on_bus(site: Site, work: Callable[[JetStreamContext], Coroutine[Any, Any, T]]) -> T:
    """The result of ``work`` on the site's bus; SiteDown or BusDown."""
    async with connected(site.endpoints()["nats"], site.access()) as jetstream:
        return await work(jetstream)


def ask(site: Site, work: Callable[[JetStreamContext], Coroutine[Any, Any, T]]) -> T:
    """The same for a command, which ends when there is no result."""
    try:
        return asyncio.run(on_bus(site, work))
    except (SiteDown, BusDown) as error:
        fail(str(error))
    except nats.js.errors.APIError as error:
        fail(f"the bus refuses: {error.description or type(error).__name__}")


def parameters_of(site: Site) -> dict[str, list[str]]:
    """What the consumers per target and per destination are made for; NoTargets."""
    return {"target": list(targets_of(site)), "destination": destinations_of(site)}


def parameters(site: Site) -> dict[str, list[str]]:
    """The same for a command, which ends without them, or without a site."""
    try:
        site.state()
        return parameters_of(site)
    except (SiteDown, NoTargets) as error:
        fail(str(error))


async def bus_overview(site: Site) -> dict[str, Any]:
    """The lag of every consumer, and how many dead letters there are; SiteDown, BusDown or NoTargets."""
    targets = parameters_of(site)

    async def work(jetstream: JetStreamContext) -> dict[str, Any]:
        lags = await lag(jetstream, site_plan(), targets)
        held = (await _stream(jetstream, deadletters.STREAM)).messages
        return {"consumers": [asdict(one) for one in lags], "dead_letters": held}

    return await on_bus(site, work)


@dataclass(frozen=True)
class Progress:
    """Stream sequences: the ``newest`` there is, up to where a consumer has ``settled`` all; what it is ``behind``."""

    newest: int
    settled: int
    behind: int


async def progress(site: Site, stream: str, consumer: str) -> Progress:
    """How far a durable consumer is in its stream; SiteDown or BusDown."""

    async def work(jetstream: JetStreamContext) -> Progress:
        newest = (await _stream(jetstream, stream)).last_seq
        try:
            info = await jetstream.consumer_info(stream, consumer)
        except nats.js.errors.NotFoundError:
            raise NotProvisioned(f"consumer {consumer}") from None
        settled = info.ack_floor.stream_seq if info.ack_floor else 0
        return Progress(newest, settled, (info.num_pending or 0) + (info.num_ack_pending or 0))

    return await on_bus(site, work)


async def _stream(jetstream: JetStreamContext, name: str) -> Any:
    try:
        return (await jetstream.stream_info(name)).state
    except nats.js.errors.NotFoundError:
        raise NotProvisioned(f"stream {name}") from None
