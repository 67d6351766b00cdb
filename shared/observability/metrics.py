"""Prometheus metrics by their names in the registry, one registry per process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from shared.observability.guard import label
from shared.observability.names import METRICS


class Metrics:
    """Counts and measures under the names of the registry; KeyError for any other."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    def count(self, name: str, amount: float = 1, **labels: object) -> None:
        """Add ``amount`` to a counter."""
        self._child(name, labels).inc(amount)

    def set(self, name: str, value: float, **labels: object) -> None:
        """Set a gauge."""
        self._child(name, labels).set(value)

    def observe(self, name: str, value: float, **labels: object) -> None:
        """Add ``value`` to a histogram."""
        self._child(name, labels).observe(value)

    @contextmanager
    def timed(self, name: str, **labels: object) -> Iterator[None]:
        """Observe the seconds of the ``with`` block, however it ends."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe(name, time.perf_counter() - start, **labels)

    def expose(self) -> bytes:
        """All of it in the Prometheus text format, version 0.0.4."""
        return generate_latest(self.registry)

    def _child(self, name: str, labels: dict[str, object]) -> Any:
        spec = METRICS[name]
        with self._lock:
            family = self._made.get(name) or self._make(name)
        return family.labels(**{key: label(labels[key]) for key in spec.labels}) if spec.labels else family

    def _make(self, name: str) -> Any:
        spec = METRICS[name]
        common: dict[str, Any] = {"labelnames": spec.labels, "registry": self.registry}
        if spec.kind == "histogram":
            made: Any = Histogram(name, spec.help, buckets=spec.buckets, **common)
        else:
            made = (Counter if spec.kind == "counter" else Gauge)(name, spec.help, **common)
        self._made[name] = made
        return made


@cache
def metrics() -> Metrics:
    """The metrics of this process."""
    return Metrics()
