"""One trace per batch, from the association that opened it."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from services.dicom_ingest.domain.visit import Visit
from services.dicom_ingest.handlers.reception import batch_trace


def trace_id(traceparent: str | None) -> str:
    """The trace that a traceparent names."""
    assert traceparent is not None
    return traceparent.split("-")[1]


def test_the_first_batch_has_the_associations_trace_and_each_further_one_its_own() -> None:
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    visit = Visit("MODALITY", "CAUSEWAY", "127.0.0.1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    assert batch_trace(visit) == visit.traceparent
    others = [trace_id(batch_trace(visit)) for _ in range(2)]
    assert len({trace_id(visit.traceparent), *others}) == 3
