"""Show a graph as text and JSON: its releases, and the share of hosts that each is offered to. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tidegate.clock import rfc3339
from tidegate.discovery.graph import Node
from tidegate.discovery.graph_keys import BARRIER_KEY, DEAD_END_KEY, DEAD_END_REASON_KEY, ROLLBACK_FLOOR_KEY
from tidegate.discovery.rollout import Rollout, rollout_of
from tidegate.printable import one_line
from tidegate.publish.document import Document
from tidegate.publish.plan import WITHDRAWN_KEY

_REASON_CHARS = 200
_SHOWN_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A release. ``incoming`` counts the edges to it; ``share`` is the share of hosts that the rollout has reached."""

    node: Node
    incoming: int
    share: float
    rollout: Rollout | None


def rows(document: Document, now: datetime) -> list[Row]:
    """The releases at the time ``now``, the newest first."""
    graph = document.graph
    incoming = Counter(target for _, target in set(document.edges))
    found = [_row(node, incoming[place], now) for place, node in enumerate(graph.nodes)]
    return sorted(found, key=lambda row: row.node.age_index, reverse=True)


def report(row: Row, now: datetime) -> dict[str, object]:
    """A release as JSON."""
    metadata = row.node.metadata
    return {
        "version": row.node.version,
        "payload": row.node.payload,
        "age_index": row.node.age_index,
        "edges_to_it": row.incoming,
        "share": row.share,
        "rollout": row.rollout and _rollout_report(row.rollout, now),
        "barrier": row.node.has_flag(BARRIER_KEY),
        "dead_end": metadata.get(DEAD_END_REASON_KEY, "") if row.node.has_flag(DEAD_END_KEY) else None,
        "withdrawn": metadata.get(WITHDRAWN_KEY),
        "rollback_floor": metadata.get(ROLLBACK_FLOOR_KEY),
    }


def line(row: Row, now: datetime) -> str:
    """A release on one line of text."""
    facts = "; ".join(_facts(row, now))
    return f"{one_line(row.node.version, _REASON_CHARS)}  {row.node.payload[:_SHOWN_DIGITS]}  {facts}"


def _row(node: Node, incoming: int, now: datetime) -> Row:
    rollout = rollout_of(node.release)
    return Row(node, incoming, rollout.share(now) if rollout else 1.0, rollout)


def _facts(row: Row, now: datetime) -> Iterator[str]:
    metadata = row.node.metadata
    yield _offered(row)
    if row.rollout and row.share < 1.0:
        yield _rollout(row.rollout, now)
    if row.node.has_flag(BARRIER_KEY):
        yield "barrier"
    if row.node.has_flag(DEAD_END_KEY):
        yield f"dead end: {_reason(metadata.get(DEAD_END_REASON_KEY, ''))}"
    if WITHDRAWN_KEY in metadata:
        yield f"withdrawn: {_reason(metadata[WITHDRAWN_KEY])}"
    if ROLLBACK_FLOOR_KEY in metadata:
        yield f"no rollback below {_reason(metadata[ROLLBACK_FLOOR_KEY])}"


def _offered(row: Row) -> str:
    """The edges to a release. Hosts behind a barrier or dead end are counted too: those have their own lines."""
    if not row.incoming:
        return "no edge leads to it"
    origins = "1 release" if row.incoming == 1 else f"{row.incoming} releases"
    return f"edges from {origins}, open to {math.floor(row.share * 100)} % of hosts"


def _rollout(rollout: Rollout, now: datetime) -> str:
    if now.timestamp() < rollout.start_epoch:
        return f"rollout starts {rfc3339(_instant(rollout.start_epoch))}"
    if rollout.duration_secs is None:
        return "rollout stays at this share"
    return f"to all by {rfc3339(_instant(rollout.start_epoch + rollout.duration_secs))}"


def _rollout_report(rollout: Rollout, now: datetime) -> dict[str, object]:
    duration_secs = rollout.duration_secs
    return {
        "start": rfc3339(_instant(rollout.start_epoch)),
        "started": now.timestamp() >= rollout.start_epoch,
        "start_value": rollout.start_value,
        "duration_minutes": None if duration_secs is None else duration_secs // 60,
    }


def _instant(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _reason(text: str) -> str:
    return one_line(text, _REASON_CHARS) or "no reason given"
