"""What each service may do on the bus, derived from the plan: nothing else (NATS authorization)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.messaging.attempts import BUCKET
from shared.messaging.connection import inbox_prefix
from shared.messaging.plan import Durable, Plan


@dataclass(frozen=True)
class Permissions:
    """The subjects that one service may publish to and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(
    plan: Plan, parameters: Mapping[str, Sequence[str]], publishes: Mapping[str, Iterable[str]]
) -> dict[str, Permissions]:
    """By service; ``publishes`` names the subjects of the events that each service publishes."""
    durables = plan.durables(parameters)
    services = sorted({durable.plan.service for durable in durables} | set(publishes))
    return {
        service: Permissions(
            publish=tuple(_publish(service, durables, publishes.get(service, ()))),
            subscribe=(f"{inbox_prefix(service)}.>",),
        )
        for service in services
    }


def _publish(service: str, durables: Sequence[Durable], subjects: Iterable[str]) -> Iterable[str]:
    yield from sorted(subjects)
    own = [durable for durable in durables if durable.plan.service == service]
    for durable in own:
        place = f"{durable.plan.stream}.{durable.name}"
        yield f"$JS.API.CONSUMER.INFO.{place}"
        yield f"$JS.API.CONSUMER.MSG.NEXT.{place}"
    if own:
        # Its acknowledgements (of any form: the server has two), dead letters, and the records of its attempts.
        yield "$JS.ACK.>"
        yield f"deadletter.{service}.>"
        yield f"$KV.{BUCKET}.{service}.>"
        yield f"$JS.API.STREAM.INFO.KV_{BUCKET}"
        yield f"$JS.API.DIRECT.GET.KV_{BUCKET}.$KV.{BUCKET}.{service}.>"


def authorization(granted: Mapping[str, Permissions], passwords: Mapping[str, str], operator: str) -> str:
    """The ``authorization`` block of a nats-server configuration.

    ``passwords`` by service (bcrypt hashes are taken as such by the server); ``operator`` is that of the user
    ``operator``, who may do everything: the provisioner and the operator's command.
    """
    users: list[dict[str, object]] = [{"user": "operator", "password": operator}]
    for service, may in granted.items():
        allowed = {"publish": list(may.publish), "subscribe": list(may.subscribe)}
        users.append({"user": service, "password": passwords[service], "permissions": allowed})
    return f"authorization {{ users: {json.dumps(users, indent=2)} }}\n"
