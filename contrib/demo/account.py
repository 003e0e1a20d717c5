"""What a running host tells of itself while something happens: its journal, its agent's progress, its boot loader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

from contrib.demo.telling import Teller
from tests.e2e.agent_host import AgentHost, Document
from tests.e2e.lab.guest import GuestGoneError

# Who is listened to, and to what of all that they say.
TOLD = {
    "tidegate": re.compile("."),
    "systemd-logind": re.compile("^System is rebooting"),
    "ostree": re.compile("^(Finalizing|Copying /etc|Bootloader updated)"),
    "systemd": re.compile(r"^Reached target (reboot|multi-user)\.target"),
}
UNITS = ("tidegate.service", "ostree-finalize-staged.service", "systemd-logind.service", "init.scope")


class Account:
    """Tells what is new since it was last asked."""

    def __init__(self, teller: Teller, host: AgentHost) -> None:
        self._teller = teller
        self._host = host
        self._entries = self._events = 0
        self._last = ""

    def catch_up(self) -> None:
        """Tell what happened meanwhile."""
        self._progress()
        self._journal()
        self._boots()

    def skip(self) -> None:
        """What happened so far needs no telling."""
        self._entries = len(self._read_journal())
        self._events = len(self._host.machine.events)

    def _progress(self) -> None:
        try:
            line = _download(self._host.snapshot())
        except GuestGoneError:
            return
        if line and line != self._last:
            self._teller.note(line)
            self._last = line

    def _journal(self) -> None:
        entries = self._read_journal()
        for who, said in _worth_telling(entries[self._entries :]):
            if said != self._last:  # ostree tells the journal what it prints, and what it prints goes there, too
                self._teller.overheard(who, said)
            self._last = said
        self._entries = len(entries)

    def _boots(self) -> None:
        events = self._host.machine.events[self._events :]
        for event in events:
            self._teller.overheard("boot loader", event.what)
        self._events += len(events)

    def _read_journal(self) -> list[dict[str, str]]:
        return self._host.machine.journal(*(f"_SYSTEMD_UNIT={unit}" for unit in UNITS))


def _worth_telling(entries: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        who, said = entry.get("SYSLOG_IDENTIFIER", ""), entry.get("MESSAGE", "")
        if who in TOLD and TOLD[who].search(said):
            yield who, said


def _download(told: Document | None) -> str:
    """How far the download is, or nothing while there is none."""
    progress = cast("Mapping[str, object] | None", told and told["progress"])
    if progress is None or not isinstance(progress["fraction"], float):
        return ""
    return f"downloading: {progress['fraction']:4.0%}, {cast(int, progress['transferred_bytes']) / 1e6:.1f} MB"
