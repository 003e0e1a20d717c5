"""All metrics of a host in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidegate import __version__
from tidegate.jsonread import instant
from tidegate.metrics.progress import host, progress
from tidegate.metrics.reading import Reading, read
from tidegate.metrics.results import results
from tidegate.metrics.shapes import gauge, info, known
from tidegate.report.status_file import STATUS_FILE

_SNAPSHOT = Path(STATUS_FILE)


def exposition(path: Path = _SNAPSHOT) -> bytes:
    """The metrics of the snapshot at ``path``, in text format 0.0.4. Without a snapshot, ``tidegate_agent_up`` is 0."""
    return text_of(read(path))


def text_of(reading: Reading) -> bytes:
    """Format one reading. Each has a registry of its own, so that no series of an earlier one remains."""
    registry = CollectorRegistry()
    registry.register(_OneReading(reading))
    return generate_latest(registry)


class _OneReading(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        """All metric families; those of the host only if there is a snapshot."""
        yield info("build", "The version of Tidegate that made these metrics", {"version": __version__})
        yield gauge("agent_up", "Whether the agent that wrote the snapshot runs", self._reading.live)
        yield gauge("snapshot_readable", "Whether the snapshot, if there is one, can be read", self._reading.readable)
        snapshot = self._reading.document
        if snapshot:
            written = instant(snapshot, "written_at")
            yield from known("snapshot_timestamp_seconds", "When the agent's state last changed", written)
            yield from host(snapshot)
            yield from progress(snapshot)
            yield from results(snapshot)
