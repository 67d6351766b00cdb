"""Nothing that is not in the registry leaves the process: the canary test."""

import io
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.errors import RetryLater
from shared.observability import Metrics, bound, logger, read_spans
from shared.observability.guard import GuardedExporter, allowed, event_name, label, span_name
from shared.observability.logs import configure_logs
from shared.observability.names import KEYS, METRICS
from shared.observability.telemetry import tracer_provider
from shared.settings import ServiceSettings
from tests.support.instances import CANARY

STUDY_REF = "0123456789abcdef" * 2
PATIENT_UID = "1.2.826.0.1.3680043.8.498.4711"

#: What a developer might write without thinking, as key and as value.
LEAKS = [
    *CANARY.values,
    CANARY.name.lower(),
    "Smith^John",
    "Frau Müller",
    PATIENT_UID,
    "2.25.4711",
    "19340228",
    "x" * 300,
]


@pytest.fixture
def lines():
    """The log lines of a configured process; logging is put back afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    out = io.StringIO()
    configure_logs("demo", "DEBUG", out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    logging.root.handlers[:], logging.root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("value", LEAKS)
def test_no_leak_is_allowed_under_any_text_key(value):
    """An identifier is no value of any key, however it is spelled; names in capitals fail wherever names are told."""
    classes = {"error", "error.type", "exception.type", "causes", "method", "http.request.method"}
    for key in KEYS.keys() - classes:
        assert not allowed(key, value), key
    assert not allowed("patient_name", value)


def test_useful_values_are_allowed():
    """What operators need to see passes."""
    for key, value in {
        "study_ref": STUDY_REF,
        "target": "cloud-a",
        "consumer": "replication_pack_sealed_cloud-a",
        "subject": "imaging.batch.stored.v1",
        "bytes": 64 * 1024 * 1024,
        "reason": "target-unreachable",
        "error": "StoreUnavailable",
        "http.route": "/fhir/Patient/{id}",
        "timestamp": "2026-11-22T08:50:01.530236Z",
    }.items():
        assert allowed(key, value), key


def test_a_number_is_no_id():
    """A patient's number is not let through because it happens to be an integer."""
    assert not allowed("batch_id", 19340228)
    assert not allowed("state", 19340228)
    assert allowed("count", 19340228)


def test_spans_lose_what_may_name_a_person(tmp_path):
    """Attributes, events, exceptions, status and links are all filtered; ids and times stay."""
    memory = InMemorySpanExporter()
    provider = tracer_provider("demo", ServiceSettings(trace_file=tmp_path / "spans.jsonl"))
    provider.add_span_processor(SimpleSpanProcessor(GuardedExporter(memory)))
    tracer = provider.get_tracer("test")
    with (
        pytest.raises(ValueError, match="CANARY"),
        tracer.start_as_current_span(
            "receive c-store", attributes={"study_ref": STUDY_REF, "patient": CANARY.name}
        ) as span,
    ):
        span.set_attribute("target", CANARY.name)
        span.set_attribute("size", 12)
        span.add_event(f"got {CANARY.patient_id}", {"note": CANARY.accession, "count": 1})
        span.add_link(span.get_span_context(), {"patient": CANARY.name})
        span.update_name(f"receive {CANARY.name}")
        raise ValueError(CANARY.name)
    provider.shutdown()
    (kept,) = memory.get_finished_spans()
    (line,) = read_spans(tmp_path / "spans.jsonl")
    text = kept.to_json() + json.dumps(line)
    assert not [value for value in CANARY.values if value in text]
    assert line["attributes"] == {"study_ref": STUDY_REF, "size": 12}
    assert line["name"] == "receive"
    assert line["status"] == "ERROR"
    assert [event["name"] for event in line["events"]] == ["unnamed", "exception"]
    assert line["events"][1]["attributes"] == {"exception.type": "ValueError"}


def test_spans_to_a_collector_are_guarded_too(free_port):
    """What goes out by OTLP is filtered before it leaves."""
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            import gzip

            bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", free_port), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = ServiceSettings(otlp_endpoint=f"http://127.0.0.1:{free_port}/v1/traces")
    provider = tracer_provider("demo", settings)
    with provider.get_tracer("test").start_as_current_span(
        "seal", attributes={"study_ref": STUDY_REF, "name": CANARY.name}
    ):
        pass
    provider.shutdown()
    server.shutdown()
    server.server_close()
    sent = b"".join(bodies)
    assert STUDY_REF.encode() in sent
    assert CANARY.name.encode() not in sent


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("process imaging.batch.stored.v1", "process imaging.batch.stored.v1"),
        ("serve /dicom-web/studies/{study}", "serve /dicom-web/studies/{study}"),
        ("receive c-store", "receive c-store"),
        (f"serve /dicom-web/studies/{PATIENT_UID}", "serve"),
        (f"process {CANARY.name}", "process"),
        ("receive 19340228", "receive"),
        (CANARY.name, "unnamed"),
        ("", "unnamed"),
    ],
)
def test_span_names_are_operations_and_templates(given, told):
    """A span's name keeps no value that was put into it."""
    assert span_name(given) == told


def test_log_lines_lose_what_may_name_a_person(lines):
    """Keys outside the registry, values of no kind, bound values, exceptions and event texts are all filtered."""
    with bound(study_ref=STUDY_REF, batch_id=CANARY.patient_id):
        logger("causeway.test").info("pack-sealed", bytes=12, patient_name=CANARY.name, target=CANARY.name)
        logger().info(f"sealed {CANARY.name}")
        try:
            try:
                raise ValueError(CANARY.accession)
            except ValueError as cause:
                raise RetryLater("store-full") from cause
        except RetryLater:
            logger().exception("hl7-failed")
    first, second, third = lines()
    assert not [value for value in CANARY.values if value in json.dumps(lines())]
    assert (first["event"], first["study_ref"], first["bytes"]) == ("pack-sealed", STUDY_REF, 12)
    assert first["dropped"] == ["batch_id", "patient_name", "target"]
    assert second["event"] == "unnamed"
    assert (third["error"], third["reason"], third["causes"]) == ("RetryLater", "store-full", ["ValueError"])
    assert any("test_guard.py" in frame for frame in third["frames"])


def test_what_libraries_log_loses_its_text(lines):
    """pynetdicom, nats and uvicorn log peers and payloads: their place in the source stays, their text does not."""
    logging.getLogger("pynetdicom.acse").error("Rejected %s", CANARY.name)
    try:
        raise KeyError(CANARY.name)
    except KeyError:
        logging.getLogger("Some.Library").exception("failed")
    first, second = lines()
    assert not [value for value in CANARY.values if value in json.dumps(lines())]
    assert (first["event"], first["module"], first["level"]) == ("library-log", "pynetdicom.acse", "error")
    assert first["where"].startswith("test_guard.py:")
    assert second["error"] == "KeyError"


def test_log_lines_carry_the_trace(lines):
    """A line inside a span has its ids and the service's name; one outside has none."""
    provider = tracer_provider("demo", ServiceSettings())
    with provider.get_tracer("test").start_as_current_span("seal") as span:
        logger().info("inside")
    logger().info("outside")
    inside, outside = lines()
    assert inside["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert inside["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert inside["service"] == "demo"
    assert "trace_id" not in outside


def test_levels_are_kept(lines):
    """A line below the level is not written."""
    configure_logs("demo", "WARNING", out := io.StringIO())
    logger().info("quiet")
    logger().warning("loud")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["loud"]


@pytest.mark.parametrize("name", ["ready", "hl7-accepted", "c-store-refused", "deadletter"])
def test_event_names_are_codes(name):
    """A fixed code of ours is an event name."""
    assert event_name(name) == name


def test_labels_are_names():
    """A label that is no name of ours is told as other, so that no metric can name a person."""
    metrics = Metrics()
    metrics.count("causeway_messages_total", consumer="deid_pack_planned", outcome=CANARY.name)
    text = metrics.expose().decode()
    assert 'causeway_messages_total{consumer="deid_pack_planned",outcome="other"} 1.0' in text
    assert label(PATIENT_UID) == label("19340228") == "other"
    assert (label("503"), label("/fhir/Patient/{id}")) == ("503", "/fhir/Patient/{id}")


def test_metrics_are_those_of_the_registry():
    """Each registered metric can be used with its labels, and no other can be made."""
    metrics = Metrics()
    for name, spec in METRICS.items():
        use = {"counter": metrics.count, "gauge": metrics.set, "histogram": metrics.observe}[spec.kind]
        use(name, 1, **dict.fromkeys(spec.labels, "some"))
        assert name.removesuffix("_total") in metrics.expose().decode()
    with pytest.raises(KeyError):
        metrics.count("causeway_inventions_total")
