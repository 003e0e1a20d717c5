"""``tidegate status``: a view of the snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import click

from tidegate.cli import exits
from tidegate.cli.snapshot_file import Document, is_live, read, rows, table, text
from tidegate.clock import SystemClock

UP_TO_DATE = 0
AVAILABLE = 10
STAGED = 11
UNDER_WAY = 12
PAUSED = 21
LAST_FAILED = 30

_CODES = {
    "available": AVAILABLE,
    "staging": AVAILABLE,
    "staged": STAGED,
    "deciding": STAGED,
    "starting": UNDER_WAY,
    "verifying": UNDER_WAY,
    "arming": UNDER_WAY,
    "confirming": UNDER_WAY,
    "requesting": UNDER_WAY,
    "rebooting": UNDER_WAY,
    "disarming": UNDER_WAY,
    "paused": PAUSED,
    "failed": LAST_FAILED,
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as it is.")
@click.option("--exit-code", "with_code", is_flag=True, help="Exit with the state: see tidegate(1).")
def status(*, as_json: bool, with_code: bool) -> None:
    """What the host runs, what is staged, and what it waits for.

    Without --exit-code the exit code is 0, or 4 where the agent does not run.
    """
    document = read()
    live = is_live(document)
    if as_json:
        click.echo(json.dumps({**document, "live": live}, indent=1))
    else:
        click.echo("\n".join(lines(document, SystemClock().now().wall)))
    if not live:
        exits.complain("the agent does not run; this is what it left behind", "systemctl start tidegate.service")
        raise SystemExit(exits.UNREACHABLE)
    if with_code:
        raise SystemExit(exit_code(document))


def exit_code(document: Document) -> int:
    """The state as an exit code."""
    state = text(document, "state")
    if state in _CODES:
        return _CODES[state]
    last = text(table(document, "last_attempt"), "outcome")
    return UP_TO_DATE if last in {"", "applied"} else LAST_FAILED


def lines(document: Document, now: datetime) -> Iterator[str]:
    """The snapshot for people, a line at a time."""
    yield _line("State", text(document, "summary"))
    yield _line("Booted", _release(table(document, "booted")))
    staged = table(document, "staged")
    if staged:
        locked = "locked: stays out of the next boot" if staged.get("locked") else "the next boot leads into it"
        yield _line("Staged", f"{_release(staged)}, {locked}")
    if table(document, "rollback"):
        yield _line("Rollback", _release(table(document, "rollback")))
    for wait in rows(document, "blocked_by"):
        yield from _wait(wait, now)
    yield from _checks(document, now)
    yield from _last(document, now)
    for denial in rows(document, "denied"):
        yield _line("Denied", f"{_release(table(denial, 'release'))}: {text(denial, 'evidence')}")
    yield from _trouble(document, now)


def _wait(wait: Document, now: datetime) -> Iterator[str]:
    until = text(wait, "until")
    yield _line(
        "Waits", f"{text(wait, 'gate')}: {text(wait, 'reason')}{f', until {_when(until, now)}' if until else ''}"
    )
    yield from _remedy(wait)


def _checks(document: Document, now: datetime) -> Iterator[str]:
    last, following = text(document, "last_check"), text(document, "next_check")
    parts = [f"last {_when(last, now)}" if last else "none yet", _next(following, now) if following else ""]
    yield _line("Checks", ", ".join(part for part in parts if part))


def _next(instant: str, now: datetime) -> str:
    """The next check; one whose time has come waits for something else to end, or this document is an old one."""
    when = _when(instant, now)
    return f"next {when}" if when.startswith("in ") else "the next is due"


def _last(document: Document, now: datetime) -> Iterator[str]:
    last = table(document, "last_attempt")
    if last:
        move = f"{text(table(last, 'from'), 'version')} -> {text(table(last, 'to'), 'version')}"
        outcome = text(last, "outcome").replace("_", " ")
        yield _line("Last", f"{move}: {outcome}, {_when(text(last, 'ended_at'), now)} ({text(last, 'detail')})")


def _trouble(document: Document, now: datetime) -> Iterator[str]:
    trouble, stale = table(document, "trouble"), table(document, "stale_config")
    if trouble:
        yield _line("Trouble", f"{text(trouble, 'message')} (since {_when(text(trouble, 'since'), now)})")
        yield from _remedy(trouble)
    if stale:
        yield _line("Config", f"not reloaded, the last good one is in force: {text(stale, 'message')}")
        yield from _remedy(stale)


def _remedy(failure: Document) -> Iterator[str]:
    if text(failure, "remedy"):
        yield _line("", f"to do: {text(failure, 'remedy')}")


def _line(title: str, value: str) -> str:
    return f"{title + ':' if title else '':<10}{value}"


def _release(release: Document) -> str:
    version, payload = text(release, "version"), text(release, "payload")
    return f"{version} ({payload[:12]})" if payload else "unknown"


def _when(instant: str, now: datetime) -> str:
    """An instant as people tell it: how long ago, or in how long."""
    try:
        secs = (datetime.fromisoformat(instant) - now).total_seconds()
    except ValueError:
        return instant
    return f"in {duration(secs)}" if secs > 0 else f"{duration(abs(secs))} ago"


def duration(secs: float) -> str:
    """A length of time in its two largest units."""
    minutes, hours, days = secs / 60, secs / 3600, secs / 86400
    if minutes < 1:
        return f"{int(secs)} s"
    if hours < 1:
        return f"{int(minutes)} min"
    if days < 1:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(days)} d {int(hours % 24)} h"
