"""Metrics of the current state: releases, checks, staging, and gates that block a reboot."""

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


def progress(snapshot: Document) -> Iterator[Metric]:
    """The state of the host between one release and the next."""
    yield one_of("state", "1 for the current state of the agent", "state", STATES, text(snapshot, "state"))
    since = instant(snapshot, "since")
    yield from known("state_since_timestamp_seconds", "When the current state began", since)
    yield _releases(snapshot)
    yield from _checks(snapshot)
    yield from _pending(snapshot)
    yield from _staging(table(snapshot, "progress"))
    yield from _gates(snapshot)


def _releases(snapshot: Document) -> Metric:
    """The releases by deployment. The version is a label, but there are at most four series."""
    doc = "The releases on the host, and the one that it is to be updated to"
    family = GaugeMetricFamily(f"{PREFIX}_release_info", doc, labels=["deployment", "version"])
    for deployment in DEPLOYMENTS:
        if version := text(table(snapshot, deployment), "version"):
            family.add_metric([deployment, version], 1)
    return family


def _checks(snapshot: Document) -> Iterator[Metric]:
    if isinstance(enabled := snapshot.get("updates_enabled"), bool):
        yield gauge("updates_enabled", "Whether automatic updates are enabled (updates.enabled)", enabled)
    last, following = instant(snapshot, "last_check"), instant(snapshot, "next_check")
    yield from known("last_check_timestamp_seconds", "When the last successful check for a release was", last)
    yield from known("next_check_timestamp_seconds", "When the next check for a release is due", following)
    dead_end = snapshot.get("dead_end") is not None
    yield gauge("dead_end", "Whether the publisher has marked the booted release as a dead end", dead_end)
    held, passed = len(items(snapshot, "deferred")), len(items(snapshot, "passed_over"))
    yield gauge("deferred_releases", "Newer releases that are not offered to this host yet", held)
    yield gauge("passed_over_releases", "Offered releases that this host may not update to", passed)


def _pending(snapshot: Document) -> Iterator[Metric]:
    available, pending = bool(table(snapshot, "target")), bool(table(snapshot, "staged"))
    yield gauge("update_available", "Whether the host is to be updated to another release", available)
    yield gauge("update_pending", "Whether a release is staged and waits for a reboot", pending)
    since = instant(snapshot, "waiting_since")
    yield from known("update_pending_since_timestamp_seconds", "Since when a staged release waits for a reboot", since)
    opening = instant(snapshot, "next_opening")
    yield from known("next_opening_timestamp_seconds", "When the last of the gates opens that know when", opening)


def _staging(progress: Document) -> Iterator[Metric]:
    fraction, transferred = number(progress, "fraction"), number(progress, "transferred_bytes")
    yield from known("staging_progress_ratio", "Progress of the release that is being staged, 0 to 1", fraction)
    yield from known("staging_transferred_bytes", "Bytes transferred for the release that is being staged", transferred)


def _gates(snapshot: Document) -> Iterator[Metric]:
    holding = {bounded(gate, GATES) for gate in items(snapshot, "blocked_by") if isinstance(gate, str)}
    blocked = {gate: float(gate in holding) for gate in (*GATES, OTHER)}
    yield by_label("gate_blocked", "Whether this gate blocks a reboot, as of its last verdict", "gate", blocked)
    since: dict[str, float] = {}
    for row in rows(snapshot, "gates"):
        began = instant(row, "since")
        if text(row, "verdict") == "wait" and began is not None:
            gate = bounded(text(row, "gate"), GATES)
            since[gate] = min(began, since.get(gate, began))
    doc = "Since when this gate blocks the staged release"
    yield by_label("gate_blocked_since_timestamp_seconds", doc, "gate", since)


def host(snapshot: Document) -> Iterator[Metric]:
    """The identity of the host and the version of its agent."""
    writer, identity = table(snapshot, "writer"), table(snapshot, "host")
    agent = {"version": text(writer, "version"), "engine": text(snapshot, "engine")}
    yield info("agent", "The agent that wrote the snapshot", agent)
    labels = {key: text(identity, key) for key in ("group", "stream", "basearch", "platform")}
    yield info("host", "The identity of the host to servers", {"id": text(identity, "node_uuid"), **labels})
    wariness = number(identity, "rollout_wariness")
    yield from known(
        "rollout_wariness_ratio", "How late in a rollout the host is updated (identity.rollout_wariness)", wariness
    )
