"""Area ``configuration``: are the snippets right, and is the time zone that they name there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.calendar.zones import UnknownZoneError, load_zone
from tidegate.doctor.base import Area, Finding, Patient
from tidegate.doctor.reading import in_thread

AREA = Area("configuration")
SHOWN_PROBLEMS = 5
_CHECK = "tidegate config check"


async def examine(patient: Patient) -> Sequence[Finding]:
    """Look at the snippets and the zone database."""
    windows = patient.settings.periodic
    why_not = await in_thread(_zone_error, windows.time_zone)
    return [*judge_snippets(patient), *judge_zone(windows.time_zone, why_not, used="periodic" in strategies(patient))]


def strategies(patient: Patient) -> tuple[str, ...]:
    """The strategies in force."""
    return patient.settings.updates.strategy


def _zone_error(name: str) -> str:
    try:
        load_zone(name)
    except UnknownZoneError as err:
        return str(err)
    return ""


def judge_snippets(patient: Patient) -> Iterator[Finding]:
    """What the snippets come to, and whether the agent has taken them in."""
    if patient.problems:
        count = len(patient.problems)
        text = f"the configuration has {count} problem{'' if count == 1 else 's'}: with it the agent starts no update"
        told = (str(problem) for problem in patient.problems[:SHOWN_PROBLEMS])
        yield AREA.problem("snippets", text, _CHECK, *told)
    else:
        yield AREA.ok("snippets", "the configuration is good")
    if patient.snapshot.get("stale_config") and not patient.problems:
        text = "the agent runs with an older configuration than is on disk"
        yield AREA.warning("reloaded", text, "systemctl reload tidegate.service")
    if not patient.settings.updates.enabled and not patient.problems:
        text = "updates are switched off: nothing is staged or booted unless a person asks for it"
        yield AREA.ok("enabled", text, "updates.enabled = false")


def judge_zone(name: str, why_not: str, *, used: bool) -> Iterator[Finding]:
    """Whether windows can be reckoned."""
    if not why_not:
        yield AREA.ok("time-zone", f"the time zone {name} is known here")
    elif used:
        yield AREA.problem("time-zone", f"windows cannot be reckoned: {why_not}", "install tzdata")
    else:
        yield AREA.warning("time-zone", f"{why_not}; no window needs it now", "install tzdata")
