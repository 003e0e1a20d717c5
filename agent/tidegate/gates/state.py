"""State gates: the reasons to wait that the agent knows without asking anything. Names and rules, no verdicts.

The verdicts are made by the machine: in :mod:`tidegate.machine.state_gates`, and by its phases. ``fleet_lock`` is not
among them, since it is a strategy (:mod:`.fleet_lock`).
"""

from __future__ import annotations

from tidegate.gates.base import EVERY_PURPOSE, GateSpec
from tidegate.release import Purpose

CONFIG = GateSpec(
    "config",
    "no valid configuration has been read since the agent's start",
    EVERY_PURPOSE,
    overridable=False,
)
RECORD = GateSpec(
    "record",
    "the agent's records cannot be read or written",
    EVERY_PURPOSE,
    overridable=False,
)
DENIED = GateSpec(
    "denied",
    "the release is denied on this host",
    EVERY_PURPOSE,
    overridable=False,
)
VERSION_POLICY = GateSpec(
    "version_policy",
    "`updates.pin`, `updates.max_version` or `updates.min_release_age_secs` excludes the release",
    frozenset({Purpose.UPDATE, Purpose.MANUAL}),
    overridable=False,
)
UPDATES = GateSpec(
    "updates",
    "`updates.enabled` is false, unless an operator asks for the update",
    frozenset({Purpose.UPDATE}),
    overridable=False,
)
ATTEMPTS = GateSpec(
    "attempts",
    "the last attempts have failed, until the next one is due or an operator asks for it",
    frozenset({Purpose.UPDATE, Purpose.ROLLBACK}),
    overridable=False,
)
ENGINE = GateSpec(
    "engine",
    "the engine could not make the release the next boot's",
    EVERY_PURPOSE,
    overridable=False,
)
GATES = GateSpec(
    "gates",
    "the gates could not be asked, because of an error in the agent",
    EVERY_PURPOSE,
    overridable=False,
)
HOST = GateSpec(
    "host",
    "the state of the host is not known yet, or the host is going down already",
    EVERY_PURPOSE,
    overridable=False,
)
HEALTH = GateSpec(
    "health",
    "the health of this boot is being verified, or is bad",
    EVERY_PURPOSE,
    overridable=False,
)
LOGIND = GateSpec(
    "logind",
    "logind has refused the reboot",
    EVERY_PURPOSE,
    overridable=False,
)
WORKLOAD = GateSpec(
    "workload",
    "the host's services could not be stopped for the reboot",
    EVERY_PURPOSE,
    overridable=False,
)

STATE_GATES = (
    CONFIG, RECORD, DENIED, VERSION_POLICY, UPDATES, ATTEMPTS, HOST, HEALTH, WORKLOAD, ENGINE, LOGIND, GATES,
)  # fmt: skip
"""In the order in which the manual lists them."""
