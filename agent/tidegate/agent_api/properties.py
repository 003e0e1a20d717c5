"""The properties and signals of ``org.tidegate.Agent1``: the snapshot as properties, and decisions as ``UpdateEvent``.

The properties are keys of the snapshot under D-Bus names, so that file and bus agree. ``PropertiesChanged`` is sent a
few times a second at most, since a staging reports its progress more often.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import cast

from tidegate.agent_api.client import AGENT
from tidegate.bus.bus import Bus, Exported
from tidegate.bus.interface import Emits, Interface, Property, Signal
from tidegate.bus.message import Typed
from tidegate.machine.effects import Announce

Document = Mapping[str, object]

PAUSE_SECS = 0.2
"""Between a change and its signal, which covers all changes up to then."""

UPDATE_EVENT = Signal("UpdateEvent", {"topic": "s", "level": "i", "release": "s", "text": "s"})

_KEYS = {
    "State": ("s", "state"),
    "Since": ("s", "since"),
    "Summary": ("s", "summary"),
    "Booted": ("a{sv}", "booted"),
    "Staged": ("a{sv}", "staged"),
    "Rollback": ("a{sv}", "rollback"),
    "NextCheck": ("s", "next_check"),
    "NextOpening": ("s", "next_opening"),
    "BlockedBy": ("as", "blocked_by"),
    "Progress": ("a{sv}", "progress"),
    "LastError": ("a{sv}", "last_error"),
}
"""By property: its type, and the key of the snapshot that it shows."""


class AgentProperties:
    """Publishes snapshots and decisions on the bus."""

    def __init__(self, bus: Bus, version: str) -> None:
        self._document: Document = {}
        self._sent: dict[str, object] = {}
        self._pause: asyncio.TimerHandle | None = None
        self.interface = Interface(
            AGENT.interface,
            properties=(
                Property("Version", "s", lambda: version, Emits.NEVER_CHANGES),
                *(Property(name, signature, self._reader(signature, key)) for name, (signature, key) in _KEYS.items()),
                Property("Document", "s", lambda: json.dumps(self._document), Emits.INVALIDATION),
            ),
            signals=(UPDATE_EVENT,),
        )
        """The properties and signals; the service adds its methods."""
        self._exported = Exported(bus, AGENT.path, self.interface)

    def show(self, document: Document) -> None:
        """Publish ``document``: properties change at once, their signal follows within :data:`PAUSE_SECS`."""
        if document == self._document:
            return
        self._document = document
        if self._pause is None:
            self._pause = asyncio.get_running_loop().call_later(PAUSE_SECS, self.flush)

    def announce(self, decision: Announce) -> None:
        """Send an ``UpdateEvent``, after the ``PropertiesChanged`` that belongs to it."""
        self.flush()
        self._exported.emit(UPDATE_EVENT.name, decision.topic.value, decision.level, decision.release, decision.text)

    def flush(self) -> None:
        """Send a pending ``PropertiesChanged`` now."""
        if self._pause is None:
            return
        self._pause.cancel()
        self._pause = None
        shown = {prop.name: prop.read() for prop in self.interface.properties if prop.emits is Emits.VALUE}
        changed = [name for name, value in shown.items() if value != self._sent.get(name)]
        self._sent = shown
        self._exported.changed(*changed, "Document")

    def _reader(self, signature: str, key: str) -> Callable[[], object]:
        return lambda: _shown(signature, self._document.get(key))


def _shown(signature: str, value: object) -> object:
    """Return a value of the snapshot as a property of the type ``signature``; null and missing ones are empty."""
    match signature:
        case "s":
            return "" if value is None else str(value)
        case "as":
            return tuple(cast("list[str]", value or ()))
        case _:
            fields = cast("Mapping[str, object]", value or {})
            return {name: _typed(one) for name, one in fields.items() if one is not None}


def _typed(value: object) -> Typed:
    match value:
        case bool():
            return Typed("b", value)
        case int():
            return Typed("x", value)
        case float():
            return Typed("d", value)
        case _:
            return Typed("s", str(value))
