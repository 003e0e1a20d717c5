"""What the agent shows of itself on the bus: the document of ``tidegate status`` as properties, and what it announces.

The properties are the document's keys in another spelling, so that the file and the bus never disagree. What changes is
told by ``PropertiesChanged``, a few times a second at most: a staging reports its progress much more often than that.
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
"""Between a change and its signal, which has everything that changed meanwhile."""

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
"""The properties: their types, and the keys of the document that they show."""


class AgentProperties:
    """Shows documents and announcements to everybody on the bus."""

    def __init__(self, bus: Bus, version: str) -> None:
        self._document: Document = {}
        self._told: dict[str, object] = {}
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
        """The properties and signals; whoever serves it adds methods."""
        self._out = Exported(bus, AGENT.path, self.interface)

    def show(self, document: Document) -> None:
        """Have ``document`` read from now on, and tell of the changes soon."""
        if document == self._document:
            return
        self._document = document
        if self._pause is None:
            self._pause = asyncio.get_running_loop().call_later(PAUSE_SECS, self.flush)

    def announce(self, said: Announce) -> None:
        """Send an ``UpdateEvent``; the changes that it is about are told before."""
        self.flush()
        self._out.emit(UPDATE_EVENT.name, said.topic.value, said.level, said.release, said.text)

    def flush(self) -> None:
        """Tell now of what has not been told."""
        if self._pause is None:
            return
        self._pause.cancel()
        self._pause = None
        shown = {prop.name: prop.read() for prop in self.interface.properties if prop.emits is Emits.VALUE}
        changed = [name for name, value in shown.items() if value != self._told.get(name)]
        self._told = shown
        self._out.changed(*changed, "Document")

    def _reader(self, signature: str, key: str) -> Callable[[], object]:
        return lambda: _shown(signature, self._document.get(key))


def _shown(signature: str, value: object) -> object:
    """A value of the document as a property of the type ``signature``: what is unknown or missing is empty."""
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
