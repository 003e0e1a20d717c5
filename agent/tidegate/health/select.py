"""Build the health checks of a host from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tidegate.bus.bus import Bus
from tidegate.clock import Clock
from tidegate.config.health import Health
from tidegate.config.settings import Settings
from tidegate.health.base import HealthProber
from tidegate.health.boot import BootComplete
from tidegate.health.check import Check
from tidegate.health.check_set import CheckSet, CheckSources
from tidegate.health.failed_units import NoFailedUnits
from tidegate.health.remote import Command, Executables, RemoteChecks
from tidegate.net.client import NetClient
from tidegate.services.systemd import Systemd


def checks_for(settings: Settings, systemd: Systemd, net: NetClient, bus: Bus, clock: Clock) -> HealthProber:
    """A prober with the checks that ``settings`` configure."""
    health, remote = settings.health, RemoteChecks(bus)
    ignored = frozenset(health.ignore_units)
    sources = CheckSources(
        executables=Executables(health.executables_timeout_secs, remote).found,
        no_failed_units=lambda failed_before: NoFailedUnits(systemd, failed_before | ignored),
        journal_cursor=remote.journal_cursor,
    )
    checks = (
        *_units(health, systemd),
        *_http(health, net),
        *(Command(check, remote) for check in health.command),
        *_files(health, clock),
    )
    return CheckSet(BootComplete(systemd), checks, sources)


# Kinds of which a host has no check are not imported, to keep the agent's memory small.


def _units(health: Health, systemd: Systemd) -> Iterator[Check]:
    if health.unit:
        from tidegate.health.unit import UnitActive  # noqa: PLC0415 - see above

        yield from (UnitActive(check, systemd) for check in health.unit)


def _http(health: Health, net: NetClient) -> Iterator[Check]:
    if health.http:
        from tidegate.health.http import MAX_WORKERS, HttpAnswers  # noqa: PLC0415 - see above

        slots = asyncio.Semaphore(MAX_WORKERS)
        yield from (HttpAnswers(check, net, slots) for check in health.http)


def _files(health: Health, clock: Clock) -> Iterator[Check]:
    if health.file:
        from tidegate.health.file import FileState  # noqa: PLC0415 - see above

        yield from (FileState(check, clock) for check in health.file)
