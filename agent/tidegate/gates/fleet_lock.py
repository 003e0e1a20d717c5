"""Strategy ``fleet_lock``: allow a reboot only while holding a slot of the fleet's lock server.

Asking for a slot takes it, so nothing here asks: the machine does (:mod:`tidegate.machine.phases.locking`), after every
gate has allowed the reboot.
"""

from __future__ import annotations

from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.fleetlock.settings import FleetLockSettings, conflicts
from tidegate.gates.base import EVERY_PURPOSE, GateSpec, Rank

SPEC = GateSpec(
    FLEET_LOCK,
    "the lock server does not grant a slot",
    guards=EVERY_PURPOSE,
    overridable=True,
    rank=Rank.STRATEGY,
    strategy=True,
    table="updates.fleet_lock",
    section=FleetLockSettings,
    conflicts=conflicts,
)
