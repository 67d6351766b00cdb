"""``causeway replay``, ``deadletters`` and ``provision``: the operator's hands on the bus."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

import nats
import nats.errors
import nats.js.errors
import typer
from nats.js import JetStreamContext

from cli.embedded.plan import site_plan
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, say, table
from cli.site import Access, Site, SiteDown
from shared.messaging import deadletters as letters
from shared.messaging.lag import lag
from shared.messaging.provision import provision as apply_plan
from shared.messaging.replay import Replayed
from shared.messaging.replay import replay as replay_service
from shared.storage.targets import load_targets

T = TypeVar("T")

_LOOPBACK = Access()

deadletters = typer.Typer(help="Messages that were given up, with the reason.", no_args_is_help=True)


@asynccontextmanager
async def connected(url: str, access: Access = _LOOPBACK) -> AsyncIterator[JetStreamContext]:
    """JetStream of the site at ``url``, for the length of a command."""
    login = {"user": access.bus_user, "password": access.bus_password} if access.bus_user else {}
    client = await nats.connect(url, name="causeway-cli", connect_timeout=5, max_reconnect_attempts=1, **login)
    try:
        yield client.jetstream(timeout=10)
    finally:
        await client.close()


def parameters_of(site: Site) -> dict[str, list[str]]:
    """What the per-target consumers of the site are made for."""
    return {"target": list(load_targets(site.targets))}


async def bus_overview(site: Site) -> dict[str, Any]:
    """The lag of every consumer, and how many dead letters there are."""
    async with connected(site.endpoints()["nats"], site.access()) as jetstream:
        lags = await lag(jetstream, site_plan(), parameters_of(site))
        held = (await jetstream.stream_info(letters.STREAM)).state.messages
    return {"consumers": [asdict(one) for one in lags], "dead_letters": held}


@dataclass(frozen=True)
class Progress:
    """Stream sequences: the ``newest`` there is, up to where a consumer has ``settled`` all; what it is ``behind``."""

    newest: int
    settled: int
    behind: int


async def progress(site: Site, stream: str, consumer: str) -> Progress:
    """How far a durable consumer is in its stream."""
    async with connected(site.endpoints()["nats"], site.access()) as jetstream:
        newest = (await jetstream.stream_info(stream)).state.last_seq
        info = await jetstream.consumer_info(stream, consumer)
    settled = info.ack_floor.stream_seq if info.ack_floor else 0
    return Progress(newest, settled, (info.num_pending or 0) + (info.num_ack_pending or 0))


def _ask(site: Site, work: Callable[[JetStreamContext], Coroutine[Any, Any, T]]) -> T:
    """The result of ``work`` on the site's bus; ends the command when there is none."""

    async def ask() -> T:
        async with connected(site.endpoints()["nats"], site.access()) as jetstream:
            return await work(jetstream)

    try:
        return asyncio.run(ask())
    except SiteDown as error:
        fail(str(error))
    except (nats.errors.Error, nats.js.errors.APIError, OSError) as error:
        fail(f"the bus does not answer ({type(error).__name__})")


@deadletters.command("list")
def list_letters(
    data: Data = None,
    service: Annotated[str | None, typer.Option(help="Only those of one service.")] = None,
    as_json: Json = False,
) -> None:
    """List dead letters, oldest first."""

    async def work(jetstream: JetStreamContext) -> list[dict[str, object]]:
        return [letters.shown(letter) async for letter in letters.every(jetstream, service=service)]

    found = _ask(site_of(data), work)
    if as_json:
        emit_json(found)
        return
    columns = ("number", "service", "subject", "reason", "error_class", "attempts", "time")
    table("Dead letters", columns, [tuple(letter[name] for name in columns) for letter in found])


Number = Annotated[int, typer.Argument(help="The number that `deadletters list` shows.")]


@deadletters.command("show")
def show_letter(number: Number, data: Data = None, as_json: Json = False) -> None:
    """Show a dead letter with its body."""
    letter = _ask(site_of(data), lambda jetstream: letters.show(jetstream, number))
    if letter is None:
        fail(f"there is no dead letter {number}")
    document = {**letters.shown(letter), "body": letters.body_of(letter)}
    if as_json:
        emit_json(document)
    else:
        table(f"Dead letter {number}", ("what", "value"), document.items())


@deadletters.command("retry")
def retry_letters(
    data: Data = None,
    number: Annotated[int | None, typer.Argument(help="One dead letter; without it say --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    as_json: Json = False,
) -> None:
    """Give a dead letter, or all, to its consumer again, and to no other."""
    _each(data, number, everything, as_json, letters.retry, "given back")


@deadletters.command("discard")
def discard_letters(
    data: Data = None,
    number: Annotated[int | None, typer.Argument(help="One dead letter; without it say --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a dead letter, or all, for good."""
    _each(data, number, everything, as_json, letters.discard, "discarded")


def _each(
    data: Data,
    number: int | None,
    everything: bool,
    as_json: bool,
    act: Callable[[JetStreamContext, int], Coroutine[Any, Any, bool]],
    done: str,
) -> None:
    if everything == (number is not None):
        fail("say either a number or --all", status=2)

    async def work(jetstream: JetStreamContext) -> list[int]:
        numbers = [letter.number async for letter in letters.every(jetstream)] if everything else [number or 0]
        return [one for one in numbers if await act(jetstream, one)]

    acted = _ask(site_of(data), work)
    if number is not None and not acted:
        fail(f"there is no dead letter {number}")
    if as_json:
        emit_json({done.replace(" ", "_"): acted})
    else:
        say(f"{len(acted)} {done}")


def provision(data: Data = None, as_json: Json = False) -> None:
    """Make streams and consumers what the contracts say; repeating it changes nothing."""
    site = site_of(data)
    changes = _ask(site, lambda jetstream: apply_plan(jetstream, site_plan(), parameters_of(site)))
    rows = [(change.what, change.name, change.how) for change in changes]
    if as_json:
        emit_json([{"what": what, "name": name, "how": how} for what, name, how in rows])
    else:
        table("Provisioned", ("what", "name", "how"), rows)


def replay(
    service: Annotated[str, typer.Argument(help="Service whose consumers read again, such as deid.")],
    start: Annotated[str, typer.Option("--from", help="Stream sequence (1 is the first) or a time (ISO 8601).")],
    data: Data = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be delivered again.")] = False,
    as_json: Json = False,
) -> None:
    """Let one service do its work again from a point of the streams; existing results are compared, not repeated."""
    site = site_of(data)
    since = _start(start)

    async def work(jetstream: JetStreamContext) -> list[Replayed]:
        return await replay_service(jetstream, site_plan(), parameters_of(site), service, since, dry_run=dry_run)

    try:
        found = _ask(site, work)
    except ValueError as error:
        fail(f"{service}: {error}")
    if as_json:
        emit_json([asdict(one) for one in found])
        return
    rows = [(one.consumer, one.stream, one.start, one.messages) for one in found]
    table("To be replayed" if dry_run else "Replayed", ("consumer", "stream", "from", "messages"), rows)


def _start(text: str) -> int | datetime:
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail("--from takes a stream sequence or a time such as 2026-01-31T08:00:00+00:00", status=2)
    return moment if moment.tzinfo else moment.astimezone()
