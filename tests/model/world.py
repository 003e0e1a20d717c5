"""The parts of the random histories: choices, moves, policies and gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from tests.fakes.builders import BAD_CONFIG, quick
from tests.fakes.lock_server import (
    ACCOUNT,
    ELSEWHERE,
)
from tidegate.clock import Now
from tidegate.engines.base import DEFAULT_TRAITS, EngineTraits, Evidence, RebootOwner
from tidegate.fleetlock.account import FleetLocking, LockRelease
from tidegate.gates.base import Allow, Notice, Verdict, Wait
from tidegate.health.judgement import HealthTerms
from tidegate.machine.mandate import Mandate
from tidegate.machine.plan import Order
from tidegate.machine.state import FailureAction, Policy, State
from tidegate.release import Purpose

LOCKING = FleetLocking(ACCOUNT)
SLOW = HealthTerms(monitor_secs=30, interval_secs=10, start_delay_secs=10, retries=2)
POLICIES = (
    *[quick(Policy(fleet_lock=LOCKING))] * 5,
    quick(),
    quick(Policy(fleet_lock=FleetLocking(ACCOUNT, release=LockRelease.AFTER_BOOT))),
    *[quick(Policy(fleet_lock=FleetLocking(ELSEWHERE, tells=True)))] * 3,
    quick(Policy(fleet_lock=LOCKING, enabled=False)),
    quick(Policy(fleet_lock=LOCKING, allow_downgrade=True)),
    *[quick(Policy(fleet_lock=LOCKING, failure_action=FailureAction.ROLLBACK))] * 4,
    quick(Policy(failure_action=FailureAction.ROLLBACK)),
    quick(Policy(fleet_lock=LOCKING, failure_action=FailureAction.CONTINUE)),
    Policy(fleet_lock=LOCKING, failure_action=FailureAction.ROLLBACK, health=SLOW),
    quick(Policy(blocked=BAD_CONFIG)),
    quick(Policy(blocked=BAD_CONFIG, fleet_lock=LOCKING)),
)
TRAITS = (
    DEFAULT_TRAITS,
    EngineTraits(stages_locked=False, evidence=Evidence.BOOTED_ONLY),
    EngineTraits(can_disarm=False),
    EngineTraits(stages_locked=False, can_disarm=False, can_rollback=False, evidence=Evidence.BOOTED_ONLY),
    EngineTraits(reboots=RebootOwner.ENGINE),
    EngineTraits(stages_locked=False, reboots=RebootOwner.ENGINE, can_rollback=False, updates_offline=True),
    EngineTraits(can_rollback=False, evidence=Evidence.ENGINE_REPORT, arm_timeout_secs=1200.0),
    EngineTraits(can_discard=False, evidence=Evidence.ENGINE_REPORT, can_disarm=False, reboots=RebootOwner.ENGINE),
)
"""Engines that can and cannot do what plain OSTree can, which is the first."""


@dataclass(frozen=True)
class Setting:
    """What does not change in one history: what the engine can do, the order of updates, and whether it can lie."""

    traits: EngineTraits = DEFAULT_TRAITS
    order: Order = Order.DOWNLOAD_THEN_KILL
    workload: bool = False
    lies: bool = False

    def applied(self, policy: Policy) -> Policy:
        """``policy`` with this order."""
        return replace(policy, order=self.order, workload=self.workload)


SETTINGS = tuple(Setting(traits, order, workload=True, lies=True) for traits in TRAITS for order in Order)

TROUBLES = ("policy", "signal", "restart", "boot", "person", "tick", "gate", "server", "clock")
MOVES = (*["go on"] * 44, *["ask"] * 5, *TROUBLES)
"""Mostly things take their course; a host that is disturbed all the time never gets anywhere near a reboot."""

FLEET_LOCK = "fleet_lock"
OVERRIDES = (frozenset[str](), frozenset({FLEET_LOCK}), frozenset({"window", "power", FLEET_LOCK}))
GRACE_SECS = 60.0

HIGHEST = 5039
"""The highest number to choose by, one less than a multiple of many: no option is favoured much."""

Chosen = TypeVar("Chosen")


def mandate_in(state: State) -> Mandate | None:
    """The mandate of the attempt under way, from the first question to the gates to the reboot; None outside of one."""
    mandate = getattr(state.phase, "mandate", None)
    return mandate if isinstance(mandate, Mandate) else None


class Choices:
    """Draws from a list of numbers; when it is used up, always the first option: the well-behaved one."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = list(numbers)

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def of(self, *options: Chosen) -> Chosen:
        return options[self._numbers.pop(0) % len(options)] if self._numbers else options[0]

    def rarely(self) -> bool:
        return self.of(*[False] * 11, True)


@dataclass(frozen=True)
class GateModel:
    """A gate as the panel knows it. ``notifies``: it opens a while after people were told."""

    name: str
    guards: frozenset[Purpose]
    overridable: bool = True
    notifies: bool = False

    def asked(self, purpose: Purpose, overrides: frozenset[str]) -> bool:
        return purpose in self.guards and not (self.overridable and self.name in overrides)

    def answer(self, shut: bool, noticed: Now | None, now: Now) -> Verdict:
        if not shut:
            return Allow(self.name)
        if not self.notifies:
            return Wait(self.name, "shut")
        if noticed is None:
            until = now.wall + timedelta(seconds=GRACE_SECS)
            return Wait(self.name, "people", until, notice=Notice("a reboot is to come", until))
        left = GRACE_SECS - (now.boot_secs - noticed.boot_secs)
        return Wait(self.name, "told", now.wall + timedelta(seconds=left)) if left > 0 else Allow(self.name)


GATES = (
    GateModel("window", frozenset({Purpose.UPDATE})),
    GateModel("power", frozenset(Purpose), overridable=False),
    GateModel("sessions", frozenset({Purpose.UPDATE, Purpose.ROLLBACK}), notifies=True),
)
