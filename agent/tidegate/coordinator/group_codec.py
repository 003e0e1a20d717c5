"""Encode what is kept of a group as JSON, and decode it. Pure. Keys are never renamed; new ones may be added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from tidegate.coordinator.group_state import HostInFlight
from tidegate.coordinator.model import AuditEvent, Holder, Semaphore
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams
from tidegate.jsonread import Node, ShapeError


def dump(document: object) -> str:
    """Compact JSON, with characters beyond ASCII unescaped."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def parse(text: str | bytes) -> Node:
    """Parse a JSON object.

    Raises:
        ShapeError: it is not a JSON object.
    """
    try:
        return Node.root(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, ShapeError) else ShapeError(f"not JSON: {error}") from error


def holder_document(holder: Holder) -> Mapping[str, object]:
    """A holder without its id, which is part of the document's key."""
    fields = {
        "since": instant_text(holder.since),
        "last_seen": instant_text(holder.last_seen),
        "address": holder.address,
        "update": None if holder.update is None else _update_document(holder.update),
        "conflicting_boot_id": holder.conflicting_boot_id,
    }
    return _without_none(fields)


def read_holder(holder_id: str, node: Node) -> Holder:
    """The inverse of :func:`holder_document`.

    Raises:
        ShapeError: it is not such a document; so for the following.
    """
    update = node.optional_child("update")
    return Holder(
        holder_id,
        read_instant(node, "since"),
        read_instant(node, "last_seen"),
        node.optional_text("address"),
        None if update is None else _read_update(update),
        node.optional_text("conflicting_boot_id") or node.optional_text("rival_boot_id"),  # as older coordinators wrote
    )


def host_document(host: HostInFlight) -> Mapping[str, object]:
    """A host in flight without its id, which is part of the document's key."""
    return {"since": instant_text(host.since), "last_seen": instant_text(host.last_seen)}


def read_host(node: Node) -> HostInFlight:
    """The inverse of :func:`host_document`."""
    return HostInFlight(node.instant("since"), node.instant("last_seen"))


def audit_event_document(event: AuditEvent) -> Mapping[str, object]:
    """An audit event without its group, which is part of the document's key."""
    return {"at": instant_text(event.at), "id": event.id, "what": event.what, "by": event.by, "detail": event.detail}


def read_audit_event(group: str, node: Node) -> AuditEvent:
    """The inverse of :func:`audit_event_document`."""
    return AuditEvent(
        node.instant("at"), group, node.text("id"), node.text("what"), node.text("by"), node.text("detail")
    )


def times_document(semaphore: Semaphore) -> Mapping[str, object]:
    """The times of a semaphore, without its slots and holders."""
    return {
        "as_of": instant_text(semaphore.as_of),
        "granted_at": instant_text(semaphore.granted_at),
        "freed": [{"at": instant_text(instant)} for instant in semaphore.freed],
    }


def read_times(node: Node) -> Semaphore:
    """The inverse of :func:`times_document`."""
    freed = tuple(child.instant("at") for child in node.children("freed"))
    return Semaphore(freed=freed, granted_at=read_instant(node, "granted_at"), as_of=read_instant(node, "as_of"))


def instant_text(instant: datetime | None) -> str | None:
    """RFC 3339 to the microsecond, so that an instant is never read back as an earlier one."""
    return None if instant is None else instant.astimezone(UTC).isoformat(timespec="microseconds")


def read_instant(node: Node, key: str) -> datetime | None:
    """The inverse of :func:`instant_text`; None where the key is missing or null."""
    return None if node.fields.get(key) is None else node.instant(key)


def _update_document(update: UpdateParams) -> Mapping[str, object]:
    current, target = _tag_document(update.current), _tag_document(update.target)
    return _without_none({"agent": update.agent, "boot_id": update.boot_id, "current": current, "target": target})


def _read_update(node: Node) -> UpdateParams:
    return UpdateParams(
        node.optional_text("agent"),
        node.optional_text("boot_id"),
        _read_tag(node, "current"),
        _read_tag(node, "target"),
    )


def _tag_document(tag: ReleaseTag | None) -> Mapping[str, object] | None:
    return None if tag is None else {"version": tag.version, "digest": tag.digest}


def _read_tag(node: Node, key: str) -> ReleaseTag | None:
    tag = node.optional_child(key)
    return None if tag is None else ReleaseTag(tag.text("version"), tag.text("digest"))


def _without_none(fields: Mapping[str, object]) -> Mapping[str, object]:
    return {key: value for key, value in fields.items() if value is not None}
