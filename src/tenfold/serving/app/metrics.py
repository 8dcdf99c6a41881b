"""What Prometheus is told, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PICTURES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one server.

    Args:
        paths: those that are counted by name; any other is ``other``, so that a client who makes up
            paths fills no memory.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._paths = frozenset(paths)
        self._requests = self._counter("tenfold_requests", "Answered requests.", ["path", "status"])
        self._seconds = Histogram(
            "tenfold_request_seconds",
            "From a request's headers to the end of its answer; refused requests do not count.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._pictures = self._counter("tenfold_pictures", "Pictures that were predicted.", [])
        self._batch = Histogram(
            "tenfold_batch_pictures",
            "Pictures that went through the model together.",
            buckets=_PICTURES,
            registry=self.registry,
        )
        self._refused = self._counter(
            "tenfold_refused",
            "Requests and connections that a limit refused, or that were malformed.",
            ["reason"],
        )
        # Looking up a label costs as much as counting, and there are few.
        self._requests_of = cache(lambda path, status: self._requests.labels(path, str(status)))
        self._seconds_of = cache(self._seconds.labels)
        self._refused_of = cache(self._refused.labels)

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when it is asked for."""
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def describe(self, labels: dict[str, str]) -> None:
        """Add the facts about what is served, as labels of a gauge that is 1."""
        Gauge("tenfold_model_info", "What is served.", list(labels), registry=self.registry).labels(
            **labels
        ).set(1)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count an answer."""
        path = path if path in self._paths else "other"
        self._requests_of(path, status).inc()
        self._seconds_of(path).observe(seconds)

    def turned_away(self, path: str, status: int, count: int) -> None:
        """Count answers that took no time, all at once."""
        self._requests_of(path if path in self._paths else "other", status).inc(count)

    def refused(self, reason: str, count: int = 1) -> None:
        """Count what a limit refused."""
        self._refused_of(reason).inc(count)

    def predicted(self, pictures: int) -> None:
        """Count pictures of answered requests."""
        self._pictures.inc(pictures)

    def computed(self, pictures: int) -> None:
        """Count a batch."""
        self._batch.observe(pictures)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, labels: list[str]) -> Any:
        return Counter(name, meaning, labels, registry=self.registry)
