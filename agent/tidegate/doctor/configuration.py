"""Area ``configuration``: whether the snippets are valid, and the time zone that they name is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.calendar.zones import UnknownZoneError, load_zone
from tidegate.doctor.base import Area, Finding, Host
from tidegate.doctor.reading import in_thread
from tidegate.gates.periodic import PeriodicSettings

AREA = Area("configuration")
SHOWN_PROBLEMS = 5
_CHECK = "tidegate config check"


async def examine(host: Host) -> Sequence[Finding]:
    """Check the snippets and the zone database."""
    windows = host.settings.of(PeriodicSettings)
    why_not = await in_thread(_zone_error, windows.time_zone)
    return [*judge_snippets(host), *judge_zone(windows.time_zone, why_not, used="periodic" in strategies(host))]


def strategies(host: Host) -> tuple[str, ...]:
    """The configured strategies."""
    return host.settings.updates.strategy


def _zone_error(name: str) -> str:
    try:
        load_zone(name)
    except UnknownZoneError as err:
        return str(err)
    return ""


def judge_snippets(host: Host) -> Iterator[Finding]:
    """Evaluate the problems of the snippets, and whether the agent has loaded them."""
    if host.problems:
        count = len(host.problems)
        text = (
            f"the configuration has {count} problem{'' if count == 1 else 's'}, and the agent starts no update with it"
        )
        shown = (str(problem) for problem in host.problems[:SHOWN_PROBLEMS])
        yield AREA.problem("snippets", text, _CHECK, *shown)
    else:
        yield AREA.ok("snippets", "the configuration is valid")
    if host.snapshot.get("stale_config") and not host.problems:
        text = "the agent uses an older configuration than the one on disk"
        yield AREA.warning("reloaded", text, "systemctl reload tidegate.service")
    if not host.settings.updates.enabled and not host.problems:
        text = "updates are disabled: releases are staged and booted only on request"
        yield AREA.ok("enabled", text, "updates.enabled = false")


def judge_zone(name: str, why_not: str, *, used: bool) -> Iterator[Finding]:
    """Whether windows in the time zone can be computed. ``why_not`` is the error, empty if the zone is known."""
    if not why_not:
        yield AREA.ok("time-zone", f"the time zone {name} is installed")
    elif used:
        yield AREA.problem("time-zone", f"windows cannot be computed: {why_not}", "install tzdata")
    else:
        yield AREA.warning("time-zone", f"{why_not}; no window uses it at present", "install tzdata")
