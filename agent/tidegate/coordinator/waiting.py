"""Who was told to wait: in this process' memory only, since a denial must cost the store nothing."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from tidegate.clock import Clock
from tidegate.coordinator.model import Answer, Denied

MAX_HOSTS = 10_000
"""Those that were heard of last. An answer is shared by all who were denied at once, so that a host is its id."""

FORGOTTEN_SECS = 15 * 60.0
"""Agents ask again every five minutes; one that has not for three times that waits no more."""


@dataclass(frozen=True, slots=True)
class _Told:
    answer: Denied
    boot_secs: float


class WaitingHosts:
    """The last denial of each host, until it gets what it wants or is heard of no more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, _Told] = {}

    def hear(self, host_id: str, answer: Answer) -> None:
        """A host was answered."""
        self._told.pop(host_id, None)  # so that the order is that of the last answers
        if isinstance(answer, Denied):
            self._told[host_id] = _Told(answer, self._clock.now().boot_secs)
            if len(self._told) > MAX_HOSTS:
                del self._told[next(iter(self._told))]

    def told(self, holders: Container[str]) -> Mapping[str, Denied]:
        """Who waits, the longest silent first. A holder got its slot elsewhere."""
        since = self._clock.now().boot_secs - FORGOTTEN_SECS
        self._told = {host: told for host, told in self._told.items() if told.boot_secs >= since}
        return {host: told.answer for host, told in self._told.items() if host not in holders}
