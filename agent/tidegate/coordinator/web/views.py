"""Documents of the operators' API. Keys are never renamed; new ones may be added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from tidegate.clock import rfc3339
from tidegate.coordinator.lock import expires_at
from tidegate.coordinator.model import AuditEvent, GroupView, Holder, Rules
from tidegate.fleetlock.protocol import ReleaseTag

NO_TIME = "no-time"
TWO_HOSTS = "two-hosts"
OVER_LIMIT = "over-limit"
NOT_CONFIGURED = "not-configured"


def group_document(view: GroupView, now: datetime) -> Mapping[str, object]:
    """A group, its holders (those without a time first, then the oldest), and the hosts that were denied lately."""
    return {
        "name": view.name,
        "slots": view.rules.slots,
        "held": len(view.holders),
        "lock_ttl_secs": view.rules.lock_ttl_secs,
        "release_delay_secs": view.rules.release_delay_secs,
        "min_gap_secs": view.rules.min_gap_secs,
        "flags": list(_group_flags(view)),
        "holders": [_holder(one, view.rules, now) for one in sorted(view.holders, key=_oldest_first)],
        "waiting": [
            {"id": client, "kind": denied.kind.value, "why": denied.value, "retry_after_secs": denied.retry_after_secs}
            for client, denied in sorted(view.denials.items())
        ],
    }


def audit_event_document(event: AuditEvent) -> Mapping[str, object]:
    """An entry of the history."""
    return {
        "at": rfc3339(event.at),
        "group": event.group,
        "id": event.id,
        "what": event.what,
        "by": event.by,
        "detail": event.detail,
    }


def _group_flags(view: GroupView) -> Iterator[str]:
    if not view.configured:
        yield NOT_CONFIGURED
    elif len(view.holders) > view.rules.slots:
        yield OVER_LIMIT


def _oldest_first(holder: Holder) -> tuple[bool, float, str]:
    """A sort key. Holders without a time come first: they never expire, so an operator has to check them."""
    since = holder.since
    return (since is not None, since.timestamp() if since else 0.0, holder.id)


def _holder(one: Holder, rules: Rules, now: datetime) -> Mapping[str, object]:
    update = one.update
    expires = expires_at(one, rules)
    return {
        "id": one.id,
        "since": _instant(one.since),
        "held_secs": None if one.since is None else max(0, round((now - one.since).total_seconds())),
        "expires_at": _instant(expires),
        "last_seen": _instant(one.last_seen),
        "address": one.address,
        "agent": update.agent if update else None,
        "boot_id": update.boot_id if update else None,
        "conflicting_boot_id": one.conflicting_boot_id,
        "from": _tag(update.current if update else None),
        "to": _tag(update.target if update else None),
        "flags": list(_flags(one)),
    }


def _flags(one: Holder) -> Iterator[str]:
    if one.since is None:
        yield NO_TIME
    if one.conflicting_boot_id is not None:
        yield TWO_HOSTS


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)


def _tag(tag: ReleaseTag | None) -> Mapping[str, str] | None:
    return None if tag is None else {"version": tag.version, "digest": tag.digest}
