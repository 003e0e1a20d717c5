"""``tidegate windows``: show the current and the next reboot windows. Needs neither the agent nor root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli import output
from tidegate.cli.config_cmd import config_root_option, json_option, load_roots, settings_or_exit
from tidegate.cli.instants import EXAMPLES, instant, is_clock_time
from tidegate.cli.terminal import show
from tidegate.clock import SystemClock, rfc3339
from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.calendar.preview import Preview
    from tidegate.calendar.schedule import ClockChange, Opening, Schedule
    from tidegate.gates.periodic import PeriodicSettings
    from tidegate.settings import Settings

DEFAULT_COUNT = 5
MAX_COUNT = 1000

PERIODIC = "periodic"
MARKS = {"State:": "bold", "Next:": "bold", "Excluded:": "yellow", "Note:": "cyan"}
MINUTES_A_WEEK = 7 * 24 * 60


@click.command()
@click.option("--at", metavar="TIME", help=f"Show the windows at TIME instead of now: {EXAMPLES}.")
@click.option(
    "--count", type=click.IntRange(0, MAX_COUNT), default=DEFAULT_COUNT, help="The number of windows to list."
)
@config_root_option
@json_option
def windows(at: str | None, count: int, roots: tuple[Path, ...], *, as_json: bool) -> None:
    """Show whether a window is open, until when, the next windows, and those that updates.periodic.exclude takes away.

    Times are in UTC, and in the configured time zone where that differs; HH:MM is the next such time in that zone. If
    the zone's clock changes during a window, its real length is shown and the change is noted.
    """
    settings = settings_or_exit(load_roots(roots))
    now = SystemClock().now().wall
    if not _periodic(settings).windows:
        asked = now if at is None else instant(at, now, UTC)
        output.document(_unscheduled_report(asked), 2) if as_json else output.line(_unscheduled_text(settings))
        return
    from tidegate.calendar.preview import preview  # noqa: PLC0415 - for configurations with windows only

    schedule = _schedule(settings)
    asked = now if at is None else instant(at, now, schedule.zone)
    seen = preview(schedule, asked, count, _schedule(_without_exclusions(settings)))
    if as_json:
        output.document(_report(settings, schedule, seen), 2)
    else:
        show(chain(_lines(settings, schedule, seen), _zone_note(settings, at)), hang=10, marks=MARKS)


def _periodic(settings: Settings) -> PeriodicSettings:
    from tidegate.gates.periodic import PeriodicSettings  # noqa: PLC0415 - loaded with the settings, not before

    return settings.of(PeriodicSettings)


def _schedule(settings: Settings) -> Schedule:
    from tidegate.gates.periodic import schedule_of  # noqa: PLC0415 - as above

    try:
        return schedule_of(settings)
    except TidegateError as error:
        raise click.ClickException(str(error)) from error


def _without_exclusions(settings: Settings) -> Settings:
    return settings.having(replace(_periodic(settings), exclude=()))


def _report(settings: Settings, schedule: Schedule, seen: Preview) -> dict[str, object]:
    return {
        "schema": 1,
        "at": rfc3339(seen.at),
        "open": seen.state.is_open,
        "until": _rfc3339_or_none(seen.state.until),
        "next": [_opening_report(opening) for opening in seen.upcoming],
        "excluded": [{"start": rfc3339(one.start), "end": rfc3339(one.end)} for one in seen.excluded],
        "weekly_minutes": schedule.weekly_minutes,
        "time_zone": _periodic(settings).time_zone,
        "in_use": PERIODIC in settings.updates.strategy,
        "clock_changes": [
            {"at": rfc3339(change.at), "forward": change.is_forward, "window_minutes": change.window_minutes}
            for change in seen.clock_changes
        ],
    }


def _opening_report(opening: Opening) -> dict[str, object]:
    return {
        "start": rfc3339(opening.start),
        "opens": rfc3339(opening.opens),
        "end": _rfc3339_or_none(opening.end),
        "length_minutes": opening.length_minutes,
    }


def _rfc3339_or_none(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)


def _unscheduled_report(at: datetime) -> dict[str, object]:
    """The report if no windows are configured: without the periodic strategy, every time is open."""
    return {
        "schema": 1,
        "at": rfc3339(at),
        "open": True,
        "until": None,
        "next": [],
        "excluded": [],
        "weekly_minutes": MINUTES_A_WEEK,
        "in_use": False,
    }


def _unscheduled_text(settings: Settings) -> str:
    return f"No windows are configured, and the strategy ({_strategies(settings)}) needs none: every time is open."


def _lines(settings: Settings, schedule: Schedule, seen: Preview) -> Iterator[str]:
    zone = schedule.zone
    yield f"Schedule: {_duration(schedule.weekly_minutes * 60)} a week, time zone {_periodic(settings).time_zone}"
    yield f"      At: {_both(seen.at, zone)}"
    yield f"   State: {_state(seen, zone)}"
    for number, opening in enumerate(seen.upcoming, start=1):
        yield f"{'Next' if number == 1 else f'#{number}':>8}: {_opening(opening, zone)}"
        if opening.opens != opening.start:
            yield f"          this host opens at {_both(opening.opens, zone)}"
    for one in seen.excluded:
        length = _duration((one.end - one.start).total_seconds())
        yield f"Excluded: {_both(one.start, zone)} to {_both(one.end, zone)}, {length}"
    for change in seen.clock_changes:
        yield f"    Note: {_clock_change(change)}"
    if PERIODIC not in settings.updates.strategy:
        yield f"    Note: not in use, the strategy is {_strategies(settings)}"


def _zone_note(settings: Settings, at: str | None) -> Iterator[str]:
    if at is not None and is_clock_time(at):
        yield f"    Note: {at} is taken in the time zone of the windows, {_periodic(settings).time_zone}"


def _state(seen: Preview, zone: tzinfo) -> str:
    word = "open" if seen.state.is_open else "closed"
    if seen.state.until is None:
        return f"{word}, without end"
    return (
        f"{word} until {_both(seen.state.until, zone)}, for {_duration((seen.state.until - seen.at).total_seconds())}"
    )


def _opening(opening: Opening, zone: tzinfo) -> str:
    if opening.end is None:
        return f"from {_both(opening.start, zone)}, without end"
    length = _duration((opening.end - opening.start).total_seconds())
    return f"{_both(opening.start, zone)} to {_both(opening.end, zone)}, {length}"


def _clock_change(change: ClockChange) -> str:
    before, after = f"{change.shown_before:%H:%M}", f"{change.shown_after:%H:%M}"
    effect = "of windows are skipped" if change.is_forward else "of windows occur twice"
    when = f"{change.at:%a %Y-%m-%d %H:%M} UTC"
    return f"{when}: the clock goes from {before} to {after}, {_duration(change.window_minutes * 60)} {effect}"


def _both(instant: datetime, zone: tzinfo) -> str:
    """The instant in UTC and, if it differs, in the time zone."""
    text = f"{instant:%a %Y-%m-%d %H:%M}{_seconds(instant)} UTC"
    local = instant.astimezone(zone)
    return text if zone is UTC else f"{text} ({local:%a %H:%M}{_seconds(local)} {local.tzname()})"


def _seconds(instant: datetime) -> str:
    return instant.strftime(":%S") if instant.second else ""


def _duration(secs: float) -> str:
    """The two largest units of a duration, rounded down."""
    minutes = int(secs) // 60
    units = ((minutes // 1440, "day"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    parts = [f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}" for count, unit in units if count]
    return " ".join(parts[:2]) or f"{int(secs)} s"


def _strategies(settings: Settings) -> str:
    return ", ".join(settings.updates.strategy)
