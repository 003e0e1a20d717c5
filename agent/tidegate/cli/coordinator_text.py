"""Format the coordinator's JSON documents as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tidegate.clock import parse_rfc3339
from tidegate.jsonread import Node
from tidegate.printable import duration

_WARNINGS = {
    "no-time": "NO TIME: written by another server without a time, so it never expires",
    "two-hosts": "TWO HOSTS use this id: one of them is a clone, and is refused while the other holds this slot",
}
_INDENT = "  "


def group_lines(group: Node, now: datetime) -> Iterator[str]:
    """A group: its slots, its holders, the oldest first, and why other hosts wait."""
    name, held, slots = group.text("name"), group.integer("held"), group.integer("slots")
    yield f"{name}: {held} of {slots} slot{'' if slots == 1 else 's'} held{_rules(group)}"
    if _is_flagged(group, "not-configured"):
        yield f"{_INDENT}NOT CONFIGURED: its holders can release their slots, but nobody gets one"
    elif held > slots:
        yield f"{_INDENT}more slots are held than the group has: none is granted until some are released"
    for holder in group.children("holders"):
        yield from _holder(holder, name, now)
    for waiting in group.children("waiting"):
        again = _number(waiting, "retry_after_secs")
        retry = f", retry in {duration(again)}" if again else ""
        yield f"{_INDENT}{waiting.text('id')} waits: {waiting.text('why')}{retry}"


def history_line(one: Node) -> str:
    """One entry of the history on one line."""
    line = f"{one.text('at')}  {one.text('group')}  {one.text('id')}  {one.text('what')} by {one.text('by')}"
    return f"{line}: {one.text('detail')}" if one.text("detail") else line


def _rules(group: Node) -> str:
    ttl, delay, gap = (_number(group, name) for name in ("lock_ttl_secs", "release_delay_secs", "min_gap_secs"))
    rules = (
        f"a slot expires after {duration(ttl)}" if ttl else "",
        f"a released slot is granted again after {duration(delay)}" if delay else "",
        f"grants are {duration(gap)} apart" if gap else "",
    )
    return "".join(f"; {rule}" for rule in rules if rule)


def _holder(holder: Node, group: str, now: datetime) -> Iterator[str]:
    since = _ago(holder, "since", now)
    parts = (
        f"held for {since}" if since else "held",
        _move(holder),
        f"from {_text(holder, 'address')}" if _text(holder, "address") else "",
        f"last seen {_ago(holder, 'last_seen', now)} ago" if _text(holder, "last_seen") else "",
        _expiry(holder, now),
    )
    yield f"{_INDENT}{holder.text('id')}  {', '.join(part for part in parts if part)}"
    warnings = [text for flag, text in _WARNINGS.items() if _is_flagged(holder, flag)]
    yield from (f"{_INDENT * 3}{warning}" for warning in warnings)
    if warnings:
        yield f"{_INDENT * 3}to do: tidegate coordinator release {holder.text('id')} --group {group} --reason TEXT"


def _is_flagged(node: Node, flag: str) -> bool:
    flags = node.fields.get("flags")
    return isinstance(flags, list) and flag in flags


def _move(holder: Node) -> str:
    before, after = (holder.optional_child(name) for name in ("from", "to"))
    if after is None:
        return ""
    return f"{before.text('version') if before else '?'} -> {after.text('version')}"


def _expiry(holder: Node, now: datetime) -> str:
    text = _text(holder, "expires_at")
    if not text:
        return ""
    left_secs = (parse_rfc3339(text) - now).total_seconds()
    return f"expires in {duration(left_secs)}" if left_secs > 0 else "expired"


def _ago(holder: Node, key: str, now: datetime) -> str:
    text = _text(holder, key)
    return duration(max(0.0, (now - parse_rfc3339(text)).total_seconds())) if text else ""


def _text(node: Node, key: str) -> str:
    value = node.fields.get(key)
    return value if isinstance(value, str) else ""


def _number(node: Node, key: str) -> int:
    value = node.fields.get(key)
    return value if isinstance(value, int) else 0
