"""From the settings to the checks of a host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tidegate.bus.bus import Bus
from tidegate.clock import Clock
from tidegate.config.health import Health
from tidegate.config.settings import Settings
from tidegate.health.base import HealthProbe
from tidegate.health.boot import BootComplete
from tidegate.health.check import Check
from tidegate.health.check_set import CheckSet, Sources
from tidegate.health.failed_units import NoneFailed
from tidegate.health.remote import Command, Executables, RemoteChecks
from tidegate.net.client import NetClient
from tidegate.services.systemd import Systemd


def checks_for(settings: Settings, systemd: Systemd, net: NetClient, bus: Bus, clock: Clock) -> HealthProbe:
    """What looks at the health of a boot of this host."""
    health, remote = settings.health, RemoteChecks(bus)
    ignored = frozenset(health.ignore_units)
    sources = Sources(
        executables=Executables(health.executables_timeout_secs, remote).found,
        none_failed=lambda failed_before: NoneFailed(systemd, failed_before | ignored),
        journal_cursor=remote.journal_cursor,
    )
    checks = (
        *_units(health, systemd),
        *_http(health, net),
        *(Command(check, remote) for check in health.command),
        *_files(health, clock),
    )
    return CheckSet(BootComplete(systemd), checks, sources)


# Kinds that a host has no check of are not even imported: the agent is to be small.


def _units(health: Health, systemd: Systemd) -> Iterator[Check]:
    if health.unit:
        from tidegate.health.unit import UnitActive  # noqa: PLC0415 - see above

        yield from (UnitActive(check, systemd) for check in health.unit)


def _http(health: Health, net: NetClient) -> Iterator[Check]:
    if health.http:
        from tidegate.health.http import MAX_AT_ONCE, HttpAnswers  # noqa: PLC0415 - see above

        turn = asyncio.Semaphore(MAX_AT_ONCE)
        yield from (HttpAnswers(check, net, turn) for check in health.http)


def _files(health: Health, clock: Clock) -> Iterator[Check]:
    if health.file:
        from tidegate.health.file import FileSeen  # noqa: PLC0415 - see above

        yield from (FileSeen(check, clock) for check in health.file)
