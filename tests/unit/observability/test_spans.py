"""Spans in a file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from shared.observability import read_spans
from shared.observability.spans import JsonLinesExporter
from shared.observability.telemetry import tracer_provider
from shared.settings import ServiceSettings


def make_spans(path, *names: str) -> None:
    provider = tracer_provider("demo", ServiceSettings(trace_file=path))
    for name in names:
        with provider.get_tracer("test").start_as_current_span(name):
            pass
    provider.shutdown()


def test_a_span_says_who_when_and_under_what(tmp_path):
    """A line has service, name, kind, ids, parent, times, status, attributes, events and links."""
    path = tmp_path / "new" / "spans.jsonl"
    provider = tracer_provider("encryption", ServiceSettings(trace_file=path))
    remote = SpanContext(trace_id=7, span_id=8, is_remote=True, trace_flags=TraceFlags(1))
    context = set_span_in_context(NonRecordingSpan(remote))
    with provider.get_tracer("test").start_as_current_span(
        "process imaging.pack.planned.v1", context, attributes={"run": 1}
    ):
        pass
    provider.shutdown()
    (span,) = read_spans(path)
    assert span["service"] == "encryption"
    assert span["name"] == "process imaging.pack.planned.v1"
    assert (span["trace_id"], span["parent_id"]) == (f"{7:032x}", f"{8:016x}")
    assert span["start"] <= span["end"]
    assert (span["kind"], span["status"], span["attributes"]) == ("internal", "UNSET", {"run": 1})


def test_appends_to_what_is_there(tmp_path):
    """A restarted process goes on in the same file."""
    path = tmp_path / "spans.jsonl"
    make_spans(path, "one")
    make_spans(path, "two", "three")
    assert [span["name"] for span in read_spans(path)] == ["one", "two", "three"]


def test_a_torn_line_costs_itself_alone(tmp_path):
    """What a killed process tore is passed over, and the next span has a line of its own."""
    path = tmp_path / "spans.jsonl"
    make_spans(path, "one")
    with path.open("ab") as file:
        file.write(b'{"name":"torn","tra')
    make_spans(path, "two")
    assert [span["name"] for span in read_spans(path)] == ["one", "two"]


def test_no_file_has_no_spans(tmp_path):
    """Reading what was never written gives nothing."""
    assert list(read_spans(tmp_path / "none.jsonl")) == []


def test_spans_of_a_killed_process_are_there(tmp_path):
    """A span that ended a second before SIGKILL is in the file."""
    path = tmp_path / "spans.jsonl"
    script = f"""
import sys, time
from pathlib import Path
from shared.observability.telemetry import tracer_provider
from shared.settings import ServiceSettings

provider = tracer_provider("demo", ServiceSettings(trace_file=Path({str(path)!r})))
with provider.get_tracer("test").start_as_current_span("ended"):
    pass
time.sleep(1.5)
print("ready", flush=True)
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert [span["name"] for span in read_spans(path)] == ["ended"]


def test_is_readable_by_its_user_alone(tmp_path):
    """The file has no rights for others."""
    make_spans(tmp_path / "spans.jsonl", "one")
    assert (tmp_path / "spans.jsonl").stat().st_mode & 0o077 == 0


def test_a_file_of_spans_never_grows_without_end(tmp_path: Path) -> None:
    """Of two processes that share it, too: the last spans stay, in two files at most."""
    path = tmp_path / "demo.jsonl"
    exporters = [JsonLinesExporter(path, limit=2000) for _ in range(2)]
    provider = TracerProvider()
    for exporter in exporters:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    for number in range(100):
        provider.get_tracer("t").start_span(f"step-{number}").end()
    assert {one.name for one in tmp_path.iterdir()} == {"demo.jsonl", "demo.1.jsonl"}
    assert all(one.stat().st_size < 3000 for one in tmp_path.iterdir())
    names = [span["name"] for one in tmp_path.iterdir() for span in read_spans(one)]
    assert "step-99" in names
    assert len(names) > 4
