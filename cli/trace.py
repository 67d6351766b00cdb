"""``causeway trace``: the way of a study or a batch through every service, as a waterfall."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.api import Api, ApiError
from cli.options import Data, Json, site_of
from cli.output import console, emit_json, fail
from cli.routing import study_ref
from cli.site import Site
from shared.observability.spans import read_spans

_WIDTH = 40
_STUDY = "study_ref"
_BATCH = "batch_id"

Span = dict[str, Any]


@dataclass
class Node:
    """A span and those that it caused."""

    span: Span
    children: "list[Node]" = field(default_factory=list)


def command(
    data: Data = None,
    study: Annotated[str | None, typer.Option(help="Study Instance UID.")] = None,
    batch: Annotated[str | None, typer.Option(help="Landing batch.")] = None,
    as_json: Json = False,
) -> None:
    """Show the trace of a study's batches, or of one batch, through every service."""
    if (study is None) == (batch is None):
        fail("say either --study UID or --batch ID", status=2)
    site = site_of(data)
    try:
        wanted = (_STUDY, study_ref(Api.of(site), study)) if study else (_BATCH, str(batch))
    except ApiError as error:
        fail(str(error))
    traces = traces_of(site, *wanted)
    if not traces:
        fail(_where_else(site, *wanted))
    if as_json:
        emit_json([{"trace_id": trace_id, "spans": found} for trace_id, found in traces.items()])
        return
    for trace_id, found in traces.items():
        show(trace_id, found)


def every_span(site: Site) -> list[Span]:
    """Every span that the services of ``site`` wrote."""
    return list(_written(site))


def traces_of(site: Site, name: str, value: str) -> dict[str, list[Span]]:
    """Like ``traces_with``, over every span of ``site``: read twice, so that only what is asked for is held."""
    ids = {span["trace_id"] for span in _written(site) if _has(span, name, value)}
    return _by_trace(span for span in _written(site) if span["trace_id"] in ids)


def traces_with(spans: Sequence[Span], name: str, value: str | None) -> dict[str, list[Span]]:
    """Whole traces, by id, in which a span has the attribute ``name`` = ``value``; the earliest first."""
    ids = {span["trace_id"] for span in spans if _has(span, name, value)}
    return _by_trace(span for span in spans if span["trace_id"] in ids)


def _written(site: Site) -> Iterator[Span]:
    for path in sorted(site.traces.glob("*.jsonl")):
        yield from read_spans(path)


def _by_trace(spans: Iterable[Span]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda one: one["start"]):
        found.setdefault(span["trace_id"], []).append(span)
    return found


def _where_else(site: Site, name: str, value: str) -> str:
    """Why there is no trace, and where it is instead."""
    if site.traces.is_dir():
        return "no span of it is known on this site (yet)"
    endpoint = os.environ.get("CAUSEWAY_OTLP_ENDPOINT")
    if endpoint:
        return f"this site keeps no spans; its services send them to {endpoint}: look there for {name}={value}"
    return (
        "this site keeps no spans and its services send them nowhere: give them CAUSEWAY_OTLP_ENDPOINT "
        "(docs/operations/install.md)"
    )


def _has(span: Span, name: str, value: str | None) -> bool:
    held = span["attributes"].get(name)
    return value in held if isinstance(held, list) else held == value


def tree(spans: list[Span]) -> list[Node]:
    """The roots of the spans; one whose parent is missing is a root too."""
    nodes = {span["span_id"]: Node(span) for span in spans}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(node.span["parent_id"])
        (parent.children if parent else roots).append(node)
    return roots


def show(trace_id: str, spans: list[Span]) -> None:
    """Draw one trace: a line per span, its bar placed by time."""
    begin, end = min(span["start"] for span in spans), max(span["end"] for span in spans)
    services = len({span["service"] for span in spans})
    console.print(
        f"[bold]trace {trace_id}[/bold]  {len(spans)} spans, {services} services, {(end - begin) / 1e9:.2f} s"
    )
    for root in tree(spans):
        _draw(root, 0, begin, max(end - begin, 1))


def _draw(node: Node, depth: int, begin: int, whole: int) -> None:
    span = node.span
    start = int((span["start"] - begin) / whole * _WIDTH)
    length = max(1, round((span["end"] - span["start"]) / whole * _WIDTH))
    line = Text()
    line.append(f"{span['service'] or '':<13.13} ", style="cyan")
    line.append(f"{'  ' * depth + span['name']:<52.52} ")
    line.append(
        (" " * start + "█" * length)[:_WIDTH].ljust(_WIDTH), style="red" if span["status"] == "ERROR" else "green"
    )
    line.append(f" {(span['end'] - span['start']) / 1e6:8.1f} ms")
    console.print(line, no_wrap=True, overflow="crop")
    for child in sorted(node.children, key=lambda one: one.span["start"]):
        _draw(child, depth + 1, begin, whole)
