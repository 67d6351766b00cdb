"""Spans as lines of JSON in a file, for a site without a trace store, and reading them back."""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, format_span_id, format_trace_id

#: Bytes of a file of spans: some thousand studies.
_LIMIT = 128 * 1024 * 1024


class JsonLinesExporter(SpanExporter):
    """Appends each finished span as one line, in one write: after SIGKILL there are whole lines and at most one torn.

    Several processes may share the file. A torn line is closed when the file is opened again. A file that has grown to
    ``limit`` bytes takes the place of the one before it, ``<stem>.1.jsonl``: there are never more than two.
    """

    def __init__(self, path: Path, limit: int = _LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._handle: int | None = None
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            with self._lock:
                handle = self._open()
                for span in spans:
                    os.write(handle, line(span))
                self._turn(handle)
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def _turn(self, handle: int) -> None:
        written = os.fstat(handle)
        if written.st_size < self._limit:
            return
        self._handle = None
        os.close(handle)
        if os.path.samestat(written, self._path.stat()):  # else another process was first
            self._path.replace(self._path.with_suffix(f".1{self._path.suffix}"))

    def _open(self) -> int:
        if self._handle is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            size = os.fstat(self._handle).st_size
            if size and os.pread(self._handle, 1, size - 1) != b"\n":
                os.write(self._handle, b"\n")
        return self._handle


def line(span: ReadableSpan) -> bytes:
    """``span`` as a line; ids in hexadecimal, times in nanoseconds since 1970, statuses UNSET, OK or ERROR."""
    told = {
        "name": span.name,
        "service": span.resource.attributes.get("service.name"),
        "kind": span.kind.name.lower(),
        **_ids(span.context),
        "parent_id": format_span_id(span.parent.span_id) if span.parent else None,
        "start": span.start_time,
        "end": span.end_time,
        "status": span.status.status_code.name,
        "attributes": dict(span.attributes or {}),
        "events": [{"name": e.name, "time": e.timestamp, "attributes": dict(e.attributes or {})} for e in span.events],
        "links": [_link(link) for link in span.links],
    }
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def _ids(context: SpanContext | None) -> dict[str, str | None]:
    if context is None:
        return {"trace_id": None, "span_id": None}
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


def _link(link: Link) -> dict[str, Any]:
    return {**_ids(link.context), "attributes": dict(link.attributes or {})}


def read_spans(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole span in ``path``, in the order in which they ended; torn lines are passed over."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for text in file:
            try:
                span = json.loads(text)
            except ValueError:
                continue
            if isinstance(span, dict) and "span_id" in span:
                yield span
