"""What Prometheus sees of the server. No label holds a prompt, a key or a name."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
SPEEDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
SHARES = tuple(i / 10 for i in range(1, 11))


class Metrics:
    """Counts requests, tokens and times."""

    def __init__(self) -> None:
        """Begin at zero, in a registry of its own."""
        self.registry = CollectorRegistry()
        shared: dict[str, Any] = {"registry": self.registry, "namespace": "ingot"}
        self.requests = Counter(
            "requests", "Requests, by path, route and HTTP status", ["path", "route", "status"], **shared
        )
        self.seconds = Histogram(
            "request_seconds", "Time to the end of an answer", ["route"], buckets=SECONDS, **shared
        )
        self.first_token = Histogram(
            "first_token_seconds", "Time to the first token", ["route"], buckets=SECONDS, **shared
        )
        self.speed = Histogram(
            "tokens_per_second", "Tokens of an answer a second, after the first", ["route"], buckets=SPEEDS, **shared
        )
        self.tokens = Counter("tokens", "Tokens of prompts and of answers", ["route", "kind"], **shared)
        self.probability = Histogram(
            "route_probability", "Probability of the chosen route", ["route"], buckets=SHARES, **shared
        )
        self.choices = Counter("choices", "Choices of routes, by reason", ["route", "reason"], **shared)
        self.limited = Counter("limited_requests", "Requests over the limit of their key", **shared)
        self.reloads = Counter("reloads", "Releases loaded after the first", **shared)
        self.queue = Gauge("open_requests", "Requests that wait or are being answered", **shared)

    def watch(self, figures: Any) -> None:
        """Take the figures of the engine whenever Prometheus asks: `figures` is called then."""
        self.registry.register(EngineFigures(figures))

    def text(self) -> bytes:
        """Write everything in Prometheus' format."""
        return generate_latest(self.registry)


class EngineFigures(Collector):
    """Asks the engine for its figures."""

    def __init__(self, figures: Any) -> None:
        self.figures = figures

    def collect(self) -> Any:
        """Yield a figure each."""
        now = self.figures()
        yield GaugeMetricFamily("ingot_lanes", "Lanes in memory", value=now.get("lanes", 0))
        yield GaugeMetricFamily("ingot_lane_bytes", "Memory of the lanes", value=now.get("lane_bytes", 0))
        yield GaugeMetricFamily("ingot_resident_bytes", "Memory of the server", value=now.get("resident_bytes", 0))
        yield CounterMetricFamily("ingot_evictions", "Lanes freed for others", value=now.get("evictions", 0))
        yield CounterMetricFamily("ingot_computed_tokens", "Tokens computed", value=now.get("computed_tokens", 0))
