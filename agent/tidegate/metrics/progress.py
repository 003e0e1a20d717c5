"""What the host is doing: its state, its releases, what waits and what holds it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from tidegate.gates import registry
from tidegate.jsonread import Document, instant, items, number, rows, table, text
from tidegate.metrics.shapes import OTHER, PREFIX, bounded, by_label, gauge, info, known, one_of

STATES = (
    "steady", "disabled", "staging", "staged", "finalizing", "rebooting", "verifying", "paused", "failed",
)  # fmt: skip

GATES = tuple(spec.name for spec in registry.all_specs())
"""Values of the label ``gate``."""

DEPLOYMENTS = ("booted", "staged", "rollback", "target")


def progress(told: Document) -> Iterator[Metric]:
    """Where the host is on its way from one release to the next."""
    yield one_of("state", "1 for what the agent is doing", "state", STATES, text(told, "state"))
    since = instant(told, "since")
    yield from known("state_since_timestamp_seconds", "When the present state began", since)
    yield _releases(told)
    yield from _checks(told)
    yield from _pending(told)
    yield from _staging(table(told, "progress"))
    yield from _gates(told)


def _releases(told: Document) -> Metric:
    """Versions are labels here, but each deployment has one only: the host's series stay four."""
    doc = "The releases on the host, and the one that it moves to"
    family = GaugeMetricFamily(f"{PREFIX}_release_info", doc, labels=["deployment", "version"])
    for deployment in DEPLOYMENTS:
        if version := text(table(told, deployment), "version"):
            family.add_metric([deployment, version], 1)
    return family


def _checks(told: Document) -> Iterator[Metric]:
    if isinstance(enabled := told.get("updates_enabled"), bool):
        yield gauge("updates_enabled", "Whether the agent updates by itself (updates.enabled)", enabled)
    last, following = instant(told, "last_check"), instant(told, "next_check")
    yield from known("last_check_timestamp_seconds", "The last look for a release that was answered", last)
    yield from known("next_check_timestamp_seconds", "When the next look for a release is due", following)
    dead_end = told.get("dead_end") is not None
    yield gauge("dead_end", "Whether the booted release gets no further updates, by its publisher's word", dead_end)
    held, passed = len(items(told, "held_back")), len(items(told, "passed_over"))
    yield gauge("held_back_releases", "Newer releases whose turn has not come for this host", held)
    yield gauge("passed_over_releases", "Releases on offer that this host may not go to", passed)


def _pending(told: Document) -> Iterator[Metric]:
    available, pending = bool(table(told, "target")), bool(table(told, "staged"))
    yield gauge("update_available", "Whether the host is on its way to another release", available)
    yield gauge("update_pending", "Whether a release is staged and waits for a reboot", pending)
    since = instant(told, "waiting_since")
    yield from known("update_pending_since_timestamp_seconds", "Since when a staged release waits for a reboot", since)
    opening = instant(told, "next_opening")
    yield from known("next_opening_timestamp_seconds", "When the last of the gates opens that know when", opening)


def _staging(progress: Document) -> Iterator[Metric]:
    fraction, transferred = number(progress, "fraction"), number(progress, "transferred_bytes")
    yield from known("staging_progress_ratio", "How much of a release that is being staged is there", fraction)
    yield from known("staging_transferred_bytes", "Bytes fetched for a release that is being staged", transferred)


def _gates(told: Document) -> Iterator[Metric]:
    holding = {bounded(gate, GATES) for gate in items(told, "blocked_by") if isinstance(gate, str)}
    blocked = {gate: float(gate in holding) for gate in (*GATES, OTHER)}
    yield by_label("gate_blocked", "Whether this gate holds a reboot, as it was asked last", "gate", blocked)
    since: dict[str, float] = {}
    for row in rows(told, "gates"):
        began = instant(row, "since")
        if text(row, "verdict") == "wait" and began is not None:
            gate = bounded(text(row, "gate"), GATES)
            since[gate] = min(began, since.get(gate, began))
    doc = "Since when this gate holds the staged release"
    yield by_label("gate_blocked_since_timestamp_seconds", doc, "gate", since)


def host(told: Document) -> Iterator[Metric]:
    """Who the host is."""
    writer, identity = table(told, "writer"), table(told, "host")
    agent = {"version": text(writer, "version"), "engine": text(told, "engine")}
    yield info("agent", "The agent that wrote the snapshot", agent)
    labels = {key: text(identity, key) for key in ("group", "stream", "basearch", "platform")}
    yield info("host", "The host as servers know it", {"id": text(identity, "node_uuid"), **labels})
    wariness = number(identity, "rollout_wariness")
    yield from known("rollout_wariness_ratio", "How late the host takes its turn in a rollout", wariness)
