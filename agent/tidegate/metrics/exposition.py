"""All metrics of a host as Prometheus' text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidegate import __version__
from tidegate.jsonread import instant
from tidegate.metrics.progress import host, progress
from tidegate.metrics.reading import STATUS_FILE, Reading, read
from tidegate.metrics.results import results
from tidegate.metrics.shapes import gauge, info, known


def exposition(path: Path = STATUS_FILE) -> bytes:
    """What the snapshot at ``path`` says, in the text format 0.0.4. Without one: that there is no agent."""
    return text_of(read(path))


def text_of(reading: Reading) -> bytes:
    """The text of one reading, by a registry of its own: nothing is left over for the next."""
    registry = CollectorRegistry()
    registry.register(_OneReading(reading))
    return generate_latest(registry)


class _OneReading(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        """Every family; of the host only where there is a snapshot."""
        yield info("build", "The version of Tidegate that made these metrics", {"version": __version__})
        yield gauge("agent_up", "Whether the agent that wrote the snapshot runs", self._reading.live)
        yield gauge("snapshot_readable", "Whether the snapshot, if there is one, can be read", self._reading.readable)
        told = self._reading.document
        if told:
            written = instant(told, "written_at")
            yield from known("snapshot_timestamp_seconds", "When the agent had something new to say last", written)
            yield from host(told)
            yield from progress(told)
            yield from results(told)
