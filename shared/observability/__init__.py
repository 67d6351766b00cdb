"""Traces, logs and metrics that cannot name a person."""

from shared.observability.logs import bound, logger
from shared.observability.metrics import Metrics, metrics
from shared.observability.spans import read_spans
from shared.observability.telemetry import Telemetry, configure, tracer

__all__ = ["Metrics", "Telemetry", "bound", "configure", "logger", "metrics", "read_spans", "tracer"]
