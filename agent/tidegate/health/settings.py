"""``[health]``: the keys of the watch after a boot, and of the checks that an operator configures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, make_dataclass, replace
from typing import Any, cast

from tidegate.config.conflicts import Conflict
from tidegate.config.keys import S, Section, in_table, key
from tidegate.config.kinds.names import Names
from tidegate.config.kinds.scalar import Choice, Fraction, Integer
from tidegate.config.kinds.tables import Tables
from tidegate.health.checks.unit import UNIT
from tidegate.health.spec import MAX_TIMEOUT_SECS, CheckSpec, specs

FAILURE_ACTIONS = ("pause", "continue", "rollback")

MAX_MONITOR_SECS = 24 * 3600
"""One day. The host keeps its slot of the fleet lock during the watch."""
MAX_RETRIES = 100
MAX_BOOTS = 1000


def _arrays() -> type[Section]:
    """A dataclass with the array of tables of each kind of check."""
    fields = [(spec.name, tuple, _array(spec)) for spec in specs()]
    return cast(type[Section], make_dataclass("Checks", fields, frozen=True, slots=True))


def _array(spec: CheckSpec) -> Any:
    kind = Tables(spec.section) if spec.faults is None else Tables(spec.section, spec.faults)
    return key(cast(tuple[object, ...], ()), kind, spec.doc)


_Checks = _arrays()


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """``[health]``: the watch, and its checks."""

    monitor_secs: int = key(
        300,
        Integer(0, MAX_MONITOR_SECS),
        "Seconds after a boot into another release for which its health is watched before it counts as good. (Docker's "
        "default of 5 is for containers; hosts and what they serve take longer to fail.)",
    )
    interval_secs: int = key(10, Integer(1, 3600), "Seconds between two probes. Each probe runs every check.")
    start_delay_secs: int = key(
        120,
        Integer(0, MAX_MONITOR_SECS),
        "Seconds after the boot during which a check that has not passed yet counts as pending, not as failed.",
    )
    retries: int = key(
        3, Integer(1, MAX_RETRIES), "Consecutive probes that have to fail before a check counts as failed."
    )
    max_failed_checks_ratio: float = key(
        0.0,
        Fraction(),
        "The share of required checks that may fail; if more do, the boot is unhealthy. "
        "`max_failure_ratio` is another name for it.",
        alias="max_failure_ratio",
    )
    max_boots: int = key(
        5,
        Integer(1, MAX_BOOTS),
        "How many boots into a release may end within the watch, without a shutdown, before `failure_action` is "
        "taken: so many where something speaks against the release (a crash of the kernel in pstore, a reset by the "
        "watchdog); four times as many where nothing does, since power cuts look the same.",
    )
    failure_action: str = key(
        "pause",
        Choice(FAILURE_ACTIONS),
        "What to do when a boot is unhealthy: `pause` updates and keep the lock until the checks pass again or an "
        "operator runs `tidegate resume`; `continue` with the release, and record it; `rollback` to the previous one.",
    )
    ignore_units: tuple[str, ...] = key(
        (),
        Names(UNIT, "names of units with their suffixes"),
        "Units that the check `failed-units` ignores.",
    )
    executables_timeout_secs: int = key(
        120,
        Integer(1, MAX_TIMEOUT_SECS),
        "Seconds after which a program in `health.d` or in greenboot's folders is killed and has failed.",
    )
    checks: Section = field(default_factory=_Checks, metadata=in_table("health"))

    def of(self, kind: type[S]) -> tuple[S, ...]:
        """The checks of one kind, by the class of its section."""
        spec = next(spec for spec in specs() if spec.section is kind)
        return cast(tuple[S, ...], getattr(self.checks, spec.name))

    def having(self, *checks: Section) -> HealthSettings:
        """A copy with exactly these checks."""
        given = {spec.name: tuple(one for one in checks if isinstance(one, spec.section)) for spec in specs()}
        return replace(self, checks=_Checks(**given))


def conflicts(health: HealthSettings) -> Iterator[Conflict]:
    """The conflict between start delay and watch. A start delay at its default has none: it ends with the watch."""
    chosen = health.start_delay_secs != HealthSettings().start_delay_secs
    if chosen and 0 < health.monitor_secs < health.start_delay_secs:
        why = f"{health.start_delay_secs} s exceed the watch of {health.monitor_secs} s, so that no check could fail"
        remedy = f"set it to at most {health.monitor_secs}, or health.monitor_secs to more"
        yield Conflict("health.start_delay_secs", "health.monitor_secs", why, remedy)
