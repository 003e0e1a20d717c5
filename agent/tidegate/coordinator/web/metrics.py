"""Prometheus metrics. The state of the locks has airlock's metric names as well, for existing dashboards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tidegate.clock import Clock
from tidegate.coordinator.model import GroupView
from tidegate.coordinator.service import Locks
from tidegate.errors import TidegateError
from tidegate.fleetlock.protocol import Verb

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "tidegate_coordinator"
REFERENCE_PREFIX = "airlock"

_BUCKETS_SECS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters of this process, and gauges of the store's content at the time of the scrape."""

    def __init__(self, locks: Locks, clock: Clock) -> None:
        self._locks = locks
        self._registry = CollectorRegistry()
        self._held = _Held(clock)
        self._registry.register(self._held)
        self._incoming = {verb: self._incoming_counter(verb) for verb in Verb}
        self._answers = Counter(
            f"{PREFIX}_requests", "Answered requests by verb and answer", ["verb", "answer"], registry=self._registry
        )
        self._seconds = Histogram(
            f"{PREFIX}_request_seconds", "From a request to its answer", buckets=_BUCKETS_SECS, registry=self._registry
        )

    def incoming(self, verb: Verb) -> None:
        """Count a request, whatever its answer will be."""
        self._incoming[verb].inc()

    def answered(self, verb: Verb, answer: str, elapsed_secs: float) -> None:
        """Count an answer, which is granted, released, gone or the kind of a denial, and observe its time."""
        self._answers.labels(verb.value, answer).inc()
        self._seconds.observe(elapsed_secs)

    async def exposition(self) -> bytes:
        """All metrics in Prometheus' text format. If the store does not answer: this process's, and ``store_up 0``."""
        try:
            self._held.views = await self._locks.groups()
        except TidegateError:
            self._held.views = None
        return generate_latest(self._registry)

    def _incoming_counter(self, verb: Verb) -> Counter:
        name = f"{REFERENCE_PREFIX}_v1_{verb.value.replace('-', '_')}_incoming_requests"
        return Counter(name, f"Requests to {verb.value}, whatever their answer", registry=self._registry)


class _Held(Collector):
    """Collects gauges from the groups as last read; ``views`` is None where the store did not answer."""

    def __init__(self, clock: Clock) -> None:
        self.views: Sequence[GroupView] | None = None
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; without the store only ``store_up``, and the others without a sample."""
        yield GaugeMetricFamily(f"{PREFIX}_store_up", "Whether the store answers", value=0 if self.views is None else 1)
        views = self.views or ()
        for prefix in (PREFIX, REFERENCE_PREFIX) if self.views is not None else ():
            configured = [view for view in views if view.configured]
            yield GaugeMetricFamily(f"{prefix}_config_groups", "Configured groups", value=len(configured))
            yield _by_group(
                f"{prefix}_config_semaphore_slots", "Slots by configuration", configured, _slots(configured)
            )
            yield _by_group(f"{prefix}_database_semaphore_slots", "Slots in the store", views, _slots(views))
            holders = [len(view.holders) for view in views]
            yield _by_group(f"{prefix}_database_semaphore_lock_holders", "Holders of slots", views, holders)
        waiting = [len(view.denials) for view in views]
        yield _by_group(f"{PREFIX}_waiting", "Clients that were denied lately", views, waiting)
        yield _by_group(f"{PREFIX}_oldest_holder_seconds", "Age of the oldest slot", views, self._ages(views))
        flagged = [
            sum(one.since is None or one.conflicting_boot_id is not None for one in view.holders) for view in views
        ]
        yield _by_group(f"{PREFIX}_flagged_holders", "Holders without a time, or two under one id", views, flagged)

    def _ages(self, views: Sequence[GroupView]) -> list[float]:
        now = self._clock.now().wall
        return [
            max((max(0.0, (now - one.since).total_seconds()) for one in view.holders if one.since), default=0.0)
            for view in views
        ]


def _slots(views: Sequence[GroupView]) -> list[int]:
    return [view.rules.slots for view in views]


def _by_group(name: str, doc: str, views: Sequence[GroupView], values: Sequence[float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, doc, labels=["group"])
    for view, value in zip(views, values, strict=True):
        family.add_metric([view.name], value)
    return family
