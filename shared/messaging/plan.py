"""Streams and durable consumers as data.

::

    streams:
      - name: IMAGING
        subjects: [imaging.>]
        max_age: 90d          # seconds, or a number with s, m, h or d
        max_bytes: 8GiB       # bytes, or a number with KiB, MiB or GiB
        duplicate_window: 2h
        replicas: 1
    consumers:
      - service: replication
        subject: imaging.pack.sealed.v1
        each: target          # one durable per value of this parameter of the site
        max_ack_pending: 64
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.messaging.deadletters import retry_subject
from shared.messaging.names import durable

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")


@dataclass(frozen=True)
class StreamPlan:
    """A log with limits that refuses what would not fit. Times in seconds, sizes in bytes, -1 for no limit."""

    name: str
    subjects: tuple[str, ...]
    max_age: float = 0
    max_bytes: int = -1
    duplicate_window: float = 7200
    replicas: int = 1
    description: str | None = None

    def all_subjects(self) -> list[str]:
        """Its subjects, and those by which one consumer alone gets a message again."""
        return [*self.subjects, f"retry.{self.name.lower()}.>"]


@dataclass(frozen=True)
class ConsumerPlan:
    """A durable consumer of one subject by one service, or one per value of the parameter ``each``."""

    service: str
    subject: str
    stream: str
    each: str | None = None
    ack_wait: float = 30
    max_ack_pending: int = 64


@dataclass(frozen=True)
class Durable:
    """One durable consumer of a site."""

    name: str
    plan: ConsumerPlan

    def filters(self) -> list[str]:
        """What it hears: its subject, and what is meant for it alone."""
        return [self.plan.subject, retry_subject(self.plan.stream, self.name)]


@dataclass(frozen=True)
class Plan:
    """Everything that the provisioner makes."""

    streams: tuple[StreamPlan, ...]
    consumers: tuple[ConsumerPlan, ...]

    def durables(self, parameters: Mapping[str, Sequence[str]]) -> list[Durable]:
        """The durable consumers of a site whose parameters are given, such as ``{"target": ["onsite", "cloud-a"]}``.

        A parameter that is not given has no value at this site, and makes no consumer.
        """
        return [made for consumer in self.consumers for made in _durables(consumer, parameters)]

    def of(self, service: str) -> tuple[ConsumerPlan, ...]:
        """What ``service`` consumes."""
        return tuple(consumer for consumer in self.consumers if consumer.service == service)


def _durables(plan: ConsumerPlan, parameters: Mapping[str, Sequence[str]]) -> Iterable[Durable]:
    values: Sequence[str | None] = parameters.get(plan.each, ()) if plan.each else [None]
    return [Durable(durable(plan.service, plan.subject, value), plan) for value in values]


def read_plan(*documents: Mapping[str, Any]) -> Plan:
    """The plan that the documents (parsed YAML) add up to; ValueError when they contradict themselves."""
    streams = tuple(_stream(given) for document in documents for given in document.get("streams", ()))
    names = [stream.name for stream in streams]
    if len(set(names)) != len(names):
        raise ValueError("a stream is planned twice")
    consumers = tuple(_consumer(given, streams) for document in documents for given in document.get("consumers", ()))
    rows = [(consumer.service, consumer.subject) for consumer in consumers]
    if len(set(rows)) != len(rows):
        raise ValueError("a consumer is planned twice")
    return Plan(streams, consumers)


def _stream(given: Mapping[str, Any]) -> StreamPlan:
    numbers = {name: quantity(given[name]) for name in ("max_age", "max_bytes", "duplicate_window") if name in given}
    if "max_bytes" in numbers:
        numbers["max_bytes"] = int(numbers["max_bytes"])
    return StreamPlan(
        name=given["name"],
        subjects=tuple(given["subjects"]),
        replicas=int(given.get("replicas", 1)),
        description=given.get("description"),
        **numbers,  # type: ignore[arg-type]
    )


def _consumer(given: Mapping[str, Any], streams: Sequence[StreamPlan]) -> ConsumerPlan:
    subject = given["subject"]
    holding = [stream.name for stream in streams if any(covers(pattern, subject) for pattern in stream.subjects)]
    if len(holding) != 1:
        raise ValueError(f"{subject} lies in {len(holding)} streams")
    return ConsumerPlan(
        service=given["service"],
        subject=subject,
        stream=holding[0],
        each=given.get("each"),
        ack_wait=quantity(given.get("ack_wait", 30)),
        max_ack_pending=int(given.get("max_ack_pending", 64)),
    )


def covers(pattern: str, subject: str) -> bool:
    """Whether a stream's ``pattern`` holds ``subject`` (which may itself end in ``>``)."""
    theirs, ours = pattern.split("."), subject.split(".")
    for position, part in enumerate(theirs):
        if part == ">":
            return len(ours) > position
        if position >= len(ours) or (part != "*" and part != ours[position]):
            return False
    return len(theirs) == len(ours)


def quantity(given: str | float) -> float:
    """Seconds or bytes of ``90d``, ``8GiB`` or a bare number; ValueError for anything else."""
    found = _QUANTITY.fullmatch(str(given).strip())
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"not a quantity: {given}")
    return float(found[1]) * _UNITS[found[2]]
