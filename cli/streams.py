"""``causeway provision`` and ``replay``: what streams and consumers are, and where a consumer reads on."""

import math
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated

import nats.js.errors
import typer
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from cli.bus import NotProvisioned, ask, parameters
from cli.embedded.plan import overlaid_plan, site_plan
from cli.lag import lag
from cli.options import Data, Json, site_of
from cli.output import emit_json, fail, table, warn
from cli.replay import Replayed
from cli.replay import replay as replay_service
from shared.messaging.plan import Plan, StreamPlan
from shared.messaging.provision import Change
from shared.messaging.provision import provision as apply_plan

#: What a site may set of a stream, and what the server calls it.
_LIMITS = {"replicas": "num_replicas", "max_age": "max_age", "max_bytes": "max_bytes"}


def provision(
    data: Data = None,
    replicas: Annotated[
        int | None,
        typer.Option(min=1, max=5, envvar="CAUSEWAY_STREAM_REPLICAS", help="Copies of each stream: 3 in a cluster."),
    ] = None,
    lower: Annotated[
        bool, typer.Option("--lower", help="Also take replicas, age and size away that a stream has by now.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make streams and consumers what the contracts and the site's config/streams.yaml say; repeating changes nothing.

    A stream that has more replicas, or room for more or older messages, keeps them unless --lower is given.
    """
    site = site_of(data)
    try:
        plan = overlaid_plan(site.streams, replicas)
    except ValueError as error:
        fail(str(error))
    targets = parameters(site)

    async def work(jetstream: JetStreamContext) -> list[Change]:
        return await apply_plan(jetstream, plan if lower else await not_lowered(jetstream, plan), targets)

    rows = [(change.what, change.name, change.how) for change in ask(site, work)]
    if as_json:
        emit_json([{"what": what, "name": name, "how": how} for what, name, how in rows])
    else:
        table("Provisioned", ("what", "name", "how"), rows)


async def not_lowered(jetstream: JetStreamContext, plan: Plan) -> Plan:
    """The plan with at least what each stream has already: less would drop messages, or copies of them."""
    return replace(plan, streams=tuple([await _kept_wide(jetstream, stream) for stream in plan.streams]))


async def _kept_wide(jetstream: JetStreamContext, plan: StreamPlan) -> StreamPlan:
    try:
        found = (await jetstream.stream_info(plan.name)).config
    except nats.js.errors.NotFoundError:
        return plan
    wider = _wider(found, plan)
    for name, value in wider.items():
        warn(f"{plan.name} keeps {name} {value:.0f}: only --lower makes it {getattr(plan, name):.0f}")
    return replace(plan, **wider)  # type: ignore[arg-type]


def _wider(found: StreamConfig, plan: StreamPlan) -> dict[str, int | float]:
    """The limits of an existing stream that are wider than planned."""
    held = {name: getattr(found, theirs) for name, theirs in _LIMITS.items()}
    return {name: value for name, value in held.items() if _room(value) > _room(getattr(plan, name))}


def _room(limit: float | None) -> float:
    """A limit as a number: none, 0 and -1 are no limit."""
    return math.inf if limit in (None, 0, -1) else float(limit or 0)


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
    targets, plan = parameters(site), site_plan()

    async def work(jetstream: JetStreamContext) -> list[Replayed]:
        consumers = await lag(jetstream, Plan(plan.streams, plan.of(service)), targets)
        if missing := [one.consumer for one in consumers if not one.exists]:
            raise NotProvisioned(f"consumer {', '.join(missing)}")
        return await replay_service(jetstream, plan, targets, service, since, dry_run=dry_run)

    try:
        found = ask(site, work)
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
