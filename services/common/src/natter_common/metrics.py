"""Prometheus metrics of one process. One `Metrics` object per process, handed to whoever counts."""

from typing import Final, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.openmetrics import exposition

LATENCY_BUCKETS_S: Final = (
    0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0,
)  # fmt: skip
"""Up to a minute, so that an overload still shows as a number."""


class Metrics:
    """The process's registry and the metrics that every service has."""

    def __init__(self, service: str) -> None:
        self.service: Final = service
        self.registry: Final = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.stage_latency: Final = Histogram(
            "natter_stage_latency_seconds",
            "Time that a stage took for one piece of its work",
            ("stage", "provider", "work"),
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.frames_dropped: Final = Counter(
            "natter_frames_dropped",
            "Frames nobody acted on, by kind and reason",
            ("kind", "reason"),
            registry=self.registry,
        )
        self.link_reconnects: Final = Counter(
            "natter_link_reconnects", "Times that the link to NATS came back", registry=self.registry
        )
        self.link_up: Final = Gauge("natter_link_up", "1 while NATS is connected", registry=self.registry)
        self.loop_lag: Final = Histogram(
            "natter_loop_lag_seconds",
            "How late the event loop ran a timer",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
            registry=self.registry,
        )
        self.sessions: Final = Gauge("natter_sessions", "Sessions in progress", registry=self.registry)
        self.capacity: Final = Gauge("natter_capacity_sessions", "Sessions that fit", registry=self.registry)
        self.leases_ended: Final = Counter(
            "natter_leases_ended", "Leases that came to an end, by reason", ("reason",), registry=self.registry
        )
        self.provider_up: Final = Gauge(
            "natter_provider_up", "1 while a provider can be used", ("stage", "provider"), registry=self.registry
        )
        self.provider_faults: Final = Counter(
            "natter_provider_faults", "Faults of providers", ("stage", "provider", "code"), registry=self.registry
        )
        self.attempts: Final = Counter(
            "natter_attempts",
            "Generations asked of the model: for a turn that is over, or ahead of its end",
            ("kind",),
            registry=self.registry,
        )
        self.incidents: Final = Counter(
            "natter_incidents",
            "Callers who had spoken and got neither voice nor an error in time, by what they waited for",
            ("waiting",),
            registry=self.registry,
        )
        self.speculations: Final = Counter(
            "natter_speculations",
            "Replies prepared ahead of a turn's end, by what became of them",
            ("outcome",),
            registry=self.registry,
        )
        self.wasted_tokens: Final = Counter(
            "natter_wasted_tokens", "Tokens of replies that nobody was to hear, about", registry=self.registry
        )
        self.wasted_characters: Final = Counter(
            "natter_wasted_characters", "Characters given to a voice for nobody to hear", registry=self.registry
        )
        self.wasted_voice: Final = Counter(
            "natter_wasted_voice_seconds", "Voice made for nobody to hear", registry=self.registry
        )

    def drop(self, kind: str, reason: str) -> None:
        """Count one frame of `kind` that is dropped."""
        self.frames_dropped.labels(kind, reason).inc()

    def exposition(self) -> tuple[bytes, str]:
        """The page for `/metrics` and its content type."""
        page = cast("bytes", exposition.generate_latest(self.registry))
        return page, exposition.CONTENT_TYPE_LATEST
