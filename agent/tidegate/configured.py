"""What the configuration makes of the agent, at its start and at each reload."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tidegate.clock import Clock
from tidegate.config import Problem, Settings, load
from tidegate.discovery.native import AskEngine
from tidegate.discovery.select import discovery_for
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.fleetlock.account import FLEET_LOCK, FleetLocking
from tidegate.fleetlock.settings import fleet_locking
from tidegate.gates.select import GateSources, Unavailable, local_gates
from tidegate.health.base import HealthProber
from tidegate.health.judgement import HealthTerms
from tidegate.identity import HostIdentity, identify
from tidegate.machine.state import FailureAction, Policy
from tidegate.net.client import NetClient
from tidegate.runner import World

_log = logging.getLogger(__name__)

_REMEDY = "tidegate config check"


@dataclass(frozen=True, slots=True)
class Configured:
    """The policy for the machine, the parts of the world that it asks, and who the host is to those."""

    policy: Policy
    world: World
    identity: HostIdentity

    def blocked_by(self, failure: Failure) -> Configured:
        """The same, but nothing is staged or rebooted."""
        return replace(self, policy=replace(self.policy, blocked=failure))


@dataclass(frozen=True, slots=True)
class Outside:
    """What the parts of the world that the settings choose are made with."""

    clock: Clock
    sources: GateSources
    ask_engine: AskEngine
    probe_for: Callable[[Settings], HealthProber]


class Reader:
    """Reads the folders. A bad configuration never takes the place of a good one."""

    def __init__(self, roots: Sequence[Path], outside: Outside) -> None:
        self._roots = roots
        self._outside = outside
        self._good: Configured | None = None

    def read(self) -> Configured:
        """The configuration on disk where it is good; else the last good one, marked stale; else one that blocks.

        Without any good configuration the defaults stand in, so that a boot can be verified and the state be asked for.
        """
        loaded = load(self._roots)
        if loaded.settings is not None:
            self._good = self._configured(loaded.settings)
            return self._good
        for problem in loaded.problems:
            _log.error("%s", problem)
        failure = _failure(loaded.problems)
        if self._good is not None:
            return replace(self._good, policy=replace(self._good.policy, stale=failure))
        return self._configured(Settings()).blocked_by(failure)

    def _configured(self, settings: Settings) -> Configured:
        outside = self._outside
        identity = identify(settings.identity)
        _log.info("this host is %s, in group %s", identity.node_uuid or "without an id", identity.group)
        for doubt in identity.doubts:
            _log.warning("%s", doubt)
        gates = local_gates(settings, outside.sources)
        try:
            locking = fleet_locking(settings, identity.variables)
        except TidegateError as err:
            locking, gates = None, (*gates, Unavailable(FLEET_LOCK, err.message, err.remedy))
        discovery = discovery_for(settings, identity, NetClient(), outside.clock, outside.ask_engine)
        world = World(discovery, gates, outside.probe_for(settings))
        return Configured(_policy(settings, locking), world, identity)


def _policy(settings: Settings, locking: FleetLocking | None) -> Policy:
    updates, health = settings.updates, settings.health
    return Policy(
        enabled=updates.enabled,
        allow_downgrade=updates.allow_downgrade,
        pin=updates.pin,
        max_version=updates.max_version,
        min_release_age_secs=updates.min_release_age_secs,
        health=HealthTerms(
            monitor_secs=health.monitor_secs,
            interval_secs=health.interval_secs,
            start_delay_secs=health.start_delay_secs,
            retries=health.retries,
            max_failed_ratio=health.max_failed_checks_ratio,
        ),
        failure_action=FailureAction(health.failure_action),
        steady_interval_secs=settings.timing.steady_interval_secs,
        fleet_lock=locking,
    )


def _failure(problems: Sequence[Problem]) -> Failure:
    first, *rest = problems
    more = f" (and {len(rest)} more)" if rest else ""
    return Failure(ErrorKind.CONFIG_INVALID, f"the configuration is bad: {first}{more}", _REMEDY)
