"""Follow a running host: its journal, the progress of downloads, and its boot loader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

from contrib.demo.narration import Narrator
from tests.e2e.agent_host import AgentHost, Document
from tests.e2e.lab.guest import GuestGoneError

# The journal messages to show, by syslog identifier.
SHOWN = {
    "tidegate": re.compile("."),
    "systemd-logind": re.compile("^System is rebooting"),
    "ostree": re.compile("^(Finalizing|Copying /etc|Bootloader updated)"),
    "systemd": re.compile(r"^Reached target (reboot|multi-user)\.target"),
}
UNITS = ("tidegate.service", "ostree-finalize-staged.service", "systemd-logind.service", "init.scope")


class Progress:
    """Prints the events since the last call."""

    def __init__(self, narrator: Narrator, host: AgentHost) -> None:
        self._narrator = narrator
        self._host = host
        self._entries = self._events = 0
        self._last = ""

    def show(self) -> None:
        """Print all new events."""
        self._show_download()
        self._show_journal()
        self._show_boots()

    def skip(self) -> None:
        """Discard the events so far."""
        self._entries = len(self._read_journal())
        self._events = len(self._host.machine.events)

    def _show_download(self) -> None:
        try:
            line = _download(self._host.snapshot())
        except GuestGoneError:
            return
        if line and line != self._last:
            self._narrator.note(line)
            self._last = line

    def _show_journal(self) -> None:
        entries = self._read_journal()
        for identifier, message in _selected(entries[self._entries :]):
            if message != self._last:  # ostree logs what it prints, and its output goes to the journal too
                self._narrator.journal(identifier, message)
            self._last = message
        self._entries = len(entries)

    def _show_boots(self) -> None:
        events = self._host.machine.events[self._events :]
        for event in events:
            self._narrator.journal("boot loader", event.what)
        self._events += len(events)

    def _read_journal(self) -> list[dict[str, str]]:
        return self._host.machine.journal(*(f"_SYSTEMD_UNIT={unit}" for unit in UNITS))


def _selected(entries: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        identifier, message = entry.get("SYSLOG_IDENTIFIER", ""), entry.get("MESSAGE", "")
        if identifier in SHOWN and SHOWN[identifier].search(message):
            yield identifier, message


def _download(snapshot: Document | None) -> str:
    """The state of the download; empty if there is none."""
    progress = cast("Mapping[str, object] | None", snapshot and snapshot["progress"])
    if progress is None or not isinstance(progress["fraction"], float):
        return ""
    return f"downloading: {progress['fraction']:4.0%}, {cast(int, progress['transferred_bytes']) / 1e6:.1f} MB"
