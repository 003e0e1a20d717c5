"""Build the health checks of a host from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.bus.bus import Bus
from tidegate.clock import Clock
from tidegate.health.base import HealthProber
from tidegate.health.boot import BootComplete
from tidegate.health.check_set import CheckSet, CheckSources
from tidegate.health.failed_units import NoFailedUnits
from tidegate.health.remote import Executables, RemoteChecks
from tidegate.health.spec import specs
from tidegate.net.client import NetClient
from tidegate.services.systemd import Systemd

if TYPE_CHECKING:
    from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class HealthSources:
    """The services that checks need."""

    systemd: Systemd
    net: NetClient
    remote: RemoteChecks
    clock: Clock


def checks_for(settings: Settings, systemd: Systemd, net: NetClient, bus: Bus, clock: Clock) -> HealthProber:
    """A prober with the checks that ``settings`` configure."""
    health, remote = settings.health, RemoteChecks(bus)
    ignored = frozenset(health.ignore_units)
    sources = HealthSources(systemd, net, remote, clock)
    configured = ((spec, health.of(spec.section)) for spec in specs())
    checks = [check for spec, sections in configured if sections for check in spec.build(sections, sources)]
    standing = CheckSources(
        executables=Executables(health.executables_timeout_secs, remote).found,
        no_failed_units=lambda failed_before: NoFailedUnits(systemd, failed_before | ignored),
        journal_cursor=remote.journal_cursor,
    )
    return CheckSet(BootComplete(systemd), checks, standing)
