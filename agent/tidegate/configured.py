"""What the configuration makes of the agent, at its start and at each reload."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tidegate.config import Problem, Settings, load
from tidegate.discovery.select import discovery_for
from tidegate.errors import ErrorKind, Failure
from tidegate.machine.state import Policy
from tidegate.net.client import NetClient
from tidegate.runner import World
from tidegate.strategies.select import strategy_gates

_log = logging.getLogger(__name__)

_REMEDY = "tidegate config check"


@dataclass(frozen=True, slots=True)
class Configured:
    """The policy for the machine, and the parts of the world that it asks."""

    policy: Policy
    world: World

    def blocked_by(self, failure: Failure) -> Configured:
        """The same, but nothing is staged or rebooted."""
        return replace(self, policy=replace(self.policy, blocked=failure))


class Reader:
    """Reads the folders. A bad configuration never takes the place of a good one."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._good: Configured | None = None

    def read(self) -> Configured:
        """The configuration on disk where it is good; else the last good one, marked stale; else one that blocks.

        Without any good configuration the defaults stand in, so that a boot can be verified and the state be asked for.
        """
        loaded = load(self._roots)
        if loaded.settings is not None:
            self._good = _configured(loaded.settings)
            return self._good
        for problem in loaded.problems:
            _log.error("%s", problem)
        failure = _failure(loaded.problems)
        if self._good is not None:
            return replace(self._good, policy=replace(self._good.policy, stale=failure))
        return _configured(Settings()).blocked_by(failure)


def _configured(settings: Settings) -> Configured:
    policy = Policy(
        enabled=settings.updates.enabled,
        allow_downgrade=settings.updates.allow_downgrade,
        steady_interval_secs=settings.timing.steady_interval_secs,
    )
    discovery = discovery_for(settings, NetClient(), {"basearch": platform.machine(), "group": settings.identity.group})
    return Configured(policy, World(discovery, strategy_gates(settings)))


def _failure(problems: Sequence[Problem]) -> Failure:
    first, *rest = problems
    more = f" (and {len(rest)} more)" if rest else ""
    return Failure(ErrorKind.CONFIG_INVALID, f"the configuration is bad: {first}{more}", _REMEDY)
