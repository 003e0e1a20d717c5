"""What the parts of the records' document have in common: releases, boots, instants, and room for what is not known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from tidegate.clock import rfc3339
from tidegate.jsonread import Node
from tidegate.release import Release
from tidegate.system.boot import BootInstance

_RELEASE = frozenset({"version", "payload"})
_BOOT = frozenset({"boot_id", "soft_reboots", "init_ticks"})
_PARTS = {
    "boot": _BOOT,
    "from": _RELEASE,
    "to": _RELEASE,
    "release": _RELEASE,
    "settled": _RELEASE,
    "requested": frozenset({"at", "boot_secs"}),
}
"""The objects inside the document and the objects in it, with the keys that this agent knows of them."""


def encode_release(release: Release) -> dict[str, object]:
    """A release as JSON values."""
    return {"version": release.version, "payload": release.payload}


def decode_release(node: Node) -> Release:
    """The inverse of :func:`encode_release`."""
    return Release(version=node.text("version"), payload=node.text("payload"))


def encode_boot(boot: BootInstance) -> dict[str, object]:
    """A boot instance as JSON values."""
    return {"boot_id": boot.boot_id, "soft_reboots": boot.soft_reboots, "init_ticks": boot.init_ticks}


def decode_boot(node: Node) -> BootInstance:
    """The inverse of :func:`encode_boot`."""
    return BootInstance(node.text("boot_id"), node.integer("soft_reboots", 0), node.integer("init_ticks", 0))


def encode_instants(instants: Mapping[str, datetime]) -> dict[str, object]:
    """Instants by name, in RFC 3339."""
    return {name: rfc3339(instant) for name, instant in instants.items()}


def decode_instants(node: Node) -> dict[str, datetime]:
    """The inverse of :func:`encode_instants`."""
    return {name: node.instant(name) for name in node.fields}


def with_extra(known: dict[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    """The known fields over what a newer writer added, in the object itself and in the objects inside it."""
    whole = {**extra, **known}
    for key in _PARTS.keys() & known.keys() & extra.keys():
        inner, added = known[key], extra[key]
        if isinstance(inner, dict) and isinstance(added, dict):
            whole[key] = {**added, **inner}
    return whole


def beyond(node: Node, known: Collection[str]) -> dict[str, object]:
    """What a newer writer added to the object, and under the name of each object inside it what it added there."""
    inner = {
        key: node.child(key).beyond(_PARTS[key]) for key in _PARTS.keys() & known if node.fields.get(key) is not None
    }
    return node.beyond(known) | {key: added for key, added in inner.items() if added}
