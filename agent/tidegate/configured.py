"""Read the configuration, at start and at each reload, and build what depends on it.

That is the machine's policy, the discovery source, the gates and the health checks. An invalid configuration never
replaces a valid one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tidegate.calendar.schedule import Schedule, State
from tidegate.clock import Clock, rfc3339
from tidegate.config.problems import Problem
from tidegate.discovery.native import AskEngine
from tidegate.discovery.select import discovery_for, source_of
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.fleetlock.account import FLEET_LOCK, FleetLocking
from tidegate.fleetlock.settings import fleet_locking
from tidegate.gates import periodic
from tidegate.gates.select import GateSources, Unavailable, local_gates
from tidegate.health.base import HealthProber
from tidegate.health.judgement import HealthTerms
from tidegate.identity import HostIdentity, identify
from tidegate.machine.state import FailureAction, Policy
from tidegate.net.client import NetClient
from tidegate.net.urls import masked
from tidegate.runner import World
from tidegate.settings import Settings, load

_log = logging.getLogger(__name__)

_REMEDY = "tidegate config check"

_LOOK_AGAIN = timedelta(days=1)
"""How long it stays true that no window opens within the horizon of the calendar."""


class Follows:
    """The source and the strategies that the host follows, as its reports name them.

    The search for a window, which may take long, is made once for each.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._schedule = _schedule(settings)
        self._looked_at = self._valid_until = datetime.min.replace(tzinfo=UTC)
        self._window = State(is_open=False, until=None)

    def document(self, now: datetime) -> dict[str, object]:
        """The source (``kind``, ``url``, ``signed``), the strategies, and the window; null where there is none."""
        graph, cincinnati = self._settings.discovery.static_graph, self._settings.cincinnati
        kind = source_of(self._settings)
        urls: Mapping[str, str] = {"static_graph": graph.url, "cincinnati": cincinnati.base_url}
        return {
            "source": {
                "kind": kind,
                "url": masked(urls[kind]) if urls.get(kind) else None,
                "signed": kind == "static_graph" and graph.trust is not None,
            },
            "strategy": list(self._settings.updates.strategy),
            "window": self._window_at(now),
        }

    def _window_at(self, now: datetime) -> dict[str, object] | None:
        if self._schedule is None:
            return None
        if not self._looked_at <= now < self._valid_until:
            self._looked_at, self._window = now, self._schedule.state(now)
            self._valid_until = self._window.until or now + _LOOK_AGAIN
        until = self._window.until
        return {"open": self._window.is_open, "until": until and rfc3339(until)}


@dataclass(frozen=True, slots=True)
class Configured:
    """All that derives from the configuration: policy, parts for the runner, the host's identity, what it follows."""

    policy: Policy
    world: World
    identity: HostIdentity
    follows: Follows

    def blocked_by(self, failure: Failure) -> Configured:
        """A copy whose policy forbids staging and rebooting, with ``failure`` as the reason."""
        return replace(self, policy=replace(self.policy, blocked=failure))


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Resources for discovery, gates and health checks, besides the settings."""

    clock: Clock
    sources: GateSources
    ask_engine: AskEngine
    prober_for: Callable[[Settings], HealthProber]


class ConfigurationReader:
    """Reads the configuration below ``roots``, and remembers the last valid one."""

    def __init__(self, roots: Sequence[Path], dependencies: Dependencies) -> None:
        self._roots = roots
        self._dependencies = dependencies
        self._last_valid: Configured | None = None

    def read(self) -> Configured:
        """Read the configuration, and log its problems.

        Returns the one on disk where it is valid; otherwise the last valid one, marked stale. Without a valid one it
        returns the defaults, blocked: the agent then verifies a boot and reports its state, and never reboots.
        """
        loaded = load(self._roots)
        if loaded.settings is not None:
            self._last_valid = self._configured(loaded.settings)
            return self._last_valid
        for problem in loaded.problems:
            _log.error("%s", problem)
        failure = _failure(loaded.problems)
        if (last := self._last_valid) is not None:
            return replace(last, policy=replace(last.policy, stale=failure))
        return self._configured(Settings()).blocked_by(failure)

    def _configured(self, settings: Settings) -> Configured:
        dependencies = self._dependencies
        identity = identify(settings.identity)
        _log.info("this host is %s, in group %s", identity.node_uuid or "without an id", identity.group)
        for doubt in identity.doubts:
            _log.warning("%s", doubt)
        gates = local_gates(settings, dependencies.sources)
        try:
            locking = fleet_locking(settings, identity.variables)
        except TidegateError as err:
            locking, gates = None, (*gates, Unavailable(FLEET_LOCK, err.message, err.remedy))
        discovery = discovery_for(settings, identity, NetClient(), dependencies.clock, dependencies.ask_engine)
        world = World(discovery, gates, dependencies.prober_for(settings))
        return Configured(_policy(settings, locking, identity), world, identity, Follows(settings))


def _policy(settings: Settings, locking: FleetLocking | None, identity: HostIdentity) -> Policy:
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
            max_boots=health.max_boots,
        ),
        failure_action=FailureAction(health.failure_action),
        steady_interval_secs=settings.timing.steady_interval_secs,
        start_delay_secs=settings.timing.start_delay_secs,
        host_seed=identity.node_uuid or "",
        fleet_lock=locking,
    )


def _failure(problems: Sequence[Problem]) -> Failure:
    first, *rest = problems
    more = f" (and {len(rest)} more)" if rest else ""
    return Failure(ErrorKind.CONFIG_INVALID, f"the configuration is invalid: {first}{more}", _REMEDY)


def _schedule(settings: Settings) -> Schedule | None:
    """The schedule, if the strategy ``periodic`` is used and can be evaluated; if not, its gate says why."""
    if periodic.SPEC.name not in settings.updates.strategy:
        return None
    try:
        return periodic.schedule_of(settings)
    except TidegateError:
        return None
