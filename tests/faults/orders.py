"""An update in every order with every kind of engine, with a lock and a workload to stop.

Only ``download-then-kill`` can be configured so far; the machine runs them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.fakes.lock_server import ACCOUNT
from tests.faults.scenarios import Scenario, applied, is_on, is_on_denied, rolled_back
from tests.faults.world import BrokenRuleError, Rig
from tests.model.world import TRAITS
from tidegate.engines.base import EngineTraits, RebootOwner
from tidegate.fleetlock.account import FleetLocking
from tidegate.machine.plan import Order
from tidegate.machine.state import FailureAction


def _prepared(order: Order, traits: EngineTraits) -> Callable[[Rig], None]:
    def prepare(rig: Rig) -> None:
        rig.traits = traits
        rig.policy = replace(rig.policy, order=order, workload=True)
        rig.lock_with(FleetLocking(ACCOUNT))
        rig.locks.armed_for_good = not traits.can_disarm
        rig.vain_boots = int(traits.reboots is RebootOwner.ENGINE)  # it goes down, said that it failed, and is disarmed

    return prepare


def _worked(rig: Rig) -> None:
    """Applied, and the workload runs where nothing has taken it over."""
    applied(rig)
    if not rig.workload.running or rig.workload.handed_over:
        raise BrokenRuleError("the workload does not run where it belongs")
    if not rig.workload.stops and not rig.power_cuts:
        raise BrokenRuleError("the workload was not stopped before the reboot")


def _described(traits: EngineTraits) -> str:
    unlike = {
        "stages unlocked": not traits.stages_locked,
        "armed for good": not traits.can_disarm,
        "engine reboots": traits.reboots is RebootOwner.ENGINE,
    }
    return ", ".join(name for name, so in unlike.items() if so) or f"by {traits.evidence}"


def _unhealthy(traits: EngineTraits) -> Callable[[Rig], None]:
    def prepare(rig: Rig) -> None:
        _prepared(Order.DOWNLOAD_THEN_KILL, traits)(rig)
        rig.policy = replace(rig.policy, failure_action=FailureAction.ROLLBACK)
        rig.health.broken.add("2")
        rig.locks.kept_in.add("2")

    return prepare


ORDERED = tuple(
    Scenario(f"{order}: {_described(traits)}", ("1", "2"), _prepared(order, traits), is_on("2"), _worked)
    for order in Order
    for traits in TRAITS
)

WAYS_BACK = tuple(
    Scenario(f"rolled back: {_described(traits)}", ("1", "2"), _unhealthy(traits), is_on_denied("1"), rolled_back)
    for traits in TRAITS
    if traits.can_rollback
)
