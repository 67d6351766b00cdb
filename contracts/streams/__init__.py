"""Streams and durable consumers as data: one YAML document per stream, applied by the provisioner alone.

All streams are files on disk, keep their messages by limits and refuse new ones when full; all consumers are durable
pull consumers that acknowledge each message and are never given up by the server. Those are no settings. What a site
may set per stream is ``max_age``, ``max_bytes`` and ``replicas``: an overlay names a stream, or ``*`` for all of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import yaml

FOLDER = Path(__file__).parent

#: What an overlay may change; anything else is part of the contract.
SETTINGS = frozenset({"max_age", "max_bytes", "replicas"})

Overlay = Mapping[str, Mapping[str, Any]]


class StreamRow(TypedDict):
    """A stream. Times are like ``30d`` or ``1h``, 0 means for ever; ``max_bytes`` is like ``4GiB``."""

    name: str
    description: str
    subjects: list[str]
    max_age: str | int
    max_bytes: str | int
    duplicate_window: str
    replicas: int


class _ConsumerRow(TypedDict):
    service: str
    subject: str
    max_ack_pending: int


class ConsumerRow(_ConsumerRow, total=False):
    """A durable consumer, or one per storage target or destination (``each``); ``ack_wait`` is 30 s if not given."""

    each: Literal["target", "destination"]
    ack_wait: str


class StreamDocument(TypedDict):
    """One document: streams, and the consumers of their subjects."""

    streams: list[StreamRow]
    consumers: list[ConsumerRow]


def documents(overlay: Overlay | None = None) -> tuple[StreamDocument, ...]:
    """Every document in the order of the file names, with a site's overlay; ValueError when it sets what is fixed."""
    _check(overlay or {})
    texts = (path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml")))
    return tuple(_overlaid(yaml.safe_load(text), overlay or {}) for text in texts)


def _check(overlay: Overlay) -> None:
    for stream, values in overlay.items():
        if fixed := values.keys() - SETTINGS:
            raise ValueError(f"{stream}: {', '.join(sorted(fixed))} is fixed by the contract")


def _overlaid(document: StreamDocument, overlay: Overlay) -> StreamDocument:
    rows = [{**row, **overlay.get("*", {}), **overlay.get(row["name"], {})} for row in document["streams"]]
    return {"streams": cast(list[StreamRow], rows), "consumers": document["consumers"]}


def consumers() -> tuple[ConsumerRow, ...]:
    """The durable consumers of all documents."""
    return tuple(row for document in documents() for row in document["consumers"])


def subjects_of(service: str) -> tuple[str, ...]:
    """What ``service`` consumes."""
    return tuple(row["subject"] for row in consumers() if row["service"] == service)
