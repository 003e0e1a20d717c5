"""What the configuration makes of the agent, at its start and at each reload."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tidegate.clock import Clock
from tidegate.config import Problem, Settings, load
from tidegate.discovery.select import discovery_for
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.gates.select import Sources, local_gates
from tidegate.identity import HostIdentity, identify
from tidegate.machine.lock import FLEET_LOCK
from tidegate.machine.state import Policy
from tidegate.net.client import NetClient
from tidegate.runner import World
from tidegate.strategies.fleet_lock import fleet_locking
from tidegate.strategies.select import Unavailable

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


class Reader:
    """Reads the folders. A bad configuration never takes the place of a good one."""

    def __init__(self, roots: Sequence[Path], sources: Sources, clock: Clock) -> None:
        self._roots = roots
        self._sources = sources
        self._clock = clock
        self._good: Configured | None = None

    def read(self) -> Configured:
        """The configuration on disk where it is good; else the last good one, marked stale; else one that blocks.

        Without any good configuration the defaults stand in, so that a boot can be verified and the state be asked for.
        """
        loaded = load(self._roots)
        if loaded.settings is not None:
            self._good = _configured(loaded.settings, self._sources, self._clock)
            return self._good
        for problem in loaded.problems:
            _log.error("%s", problem)
        failure = _failure(loaded.problems)
        if self._good is not None:
            return replace(self._good, policy=replace(self._good.policy, stale=failure))
        return _configured(Settings(), self._sources, self._clock).blocked_by(failure)


def _configured(settings: Settings, sources: Sources, clock: Clock) -> Configured:
    identity = identify(settings.identity)
    _log.info("this host is %s, in group %s", identity.node_uuid or "without an id", identity.group)
    for doubt in identity.doubts:
        _log.warning("%s", doubt)
    gates = local_gates(settings, sources)
    try:
        locking = fleet_locking(settings, identity.variables)
    except TidegateError as err:
        locking, gates = None, (*gates, Unavailable(FLEET_LOCK, err.message, err.remedy))
    policy = Policy(
        enabled=settings.updates.enabled,
        allow_downgrade=settings.updates.allow_downgrade,
        steady_interval_secs=settings.timing.steady_interval_secs,
        fleet_lock=locking,
    )
    discovery = discovery_for(settings, identity, NetClient(), clock)
    return Configured(policy, World(discovery, gates), identity)


def _failure(problems: Sequence[Problem]) -> Failure:
    first, *rest = problems
    more = f" (and {len(rest)} more)" if rest else ""
    return Failure(ErrorKind.CONFIG_INVALID, f"the configuration is bad: {first}{more}", _REMEDY)
