"""``tidegate status``: show the agent's snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import cast

import click

from tidegate.cli import exits, output
from tidegate.cli.snapshot_file import read, text
from tidegate.cli.terminal import fitted, show
from tidegate.cli.wording import clock_time, reason_of, when
from tidegate.clock import SystemClock
from tidegate.jsonread import Document, items, rows, table
from tidegate.report.status_file import is_live

UP_TO_DATE = 0
AVAILABLE = 10
STAGED = 11
UNDER_WAY = 12
PAUSED = 21
LAST_FAILED = 30

_CODES = {
    "staging": AVAILABLE,
    "staged": STAGED,
    "finalizing": UNDER_WAY,
    "rebooting": UNDER_WAY,
    "verifying": UNDER_WAY,
    "paused": PAUSED,
    "failed": LAST_FAILED,
}

TITLE_COLUMNS = 10

MARKS = {
    **dict.fromkeys(("State:", "Booted:", "Staged:"), "bold"),
    **dict.fromkeys(("Waits:", "Held:", "Due:", "Denied:"), "yellow"),
    **dict.fromkeys(("Trouble:", "Config:"), "red"),
    "to do:": "cyan",
}
"""Titles in colour: what the host runs, what it waits for, what is wrong, and what to do."""

_VERDICTS = {"watching": "is watched", "good": "is healthy", "bad": "is unhealthy"}

_NOT_SKIPPED = frozenset({"denied", "superseded"})
"""Causes of a skipped release that need no line: denied releases have their own, and the newer release is shown."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as it is.")
@click.option("--exit-code", "with_code", is_flag=True, help="Use the state as the exit status: see tidegate(1).")
@click.option("--watch", is_flag=True, help="Keep running and show changes; needs the bus.")
def status(*, as_json: bool, with_code: bool, watch: bool) -> None:
    """Show the host's releases, the state of the agent and what it waits for.

    Without --exit-code, the exit status is 0, or 4 if the agent is not running.
    """
    if watch and with_code:
        raise click.UsageError("--watch runs as long as the agent does, so it cannot be combined with --exit-code")
    document = read()
    live = is_live(document)
    if watch and live:
        raise SystemExit(_watch(as_json=as_json))
    if as_json:
        output.document({**document, "live": live, "source": "snapshot"})
    else:
        show(lines(document, SystemClock().now().wall), hang=TITLE_COLUMNS, marks=MARKS)
    if not live:
        exits.complain("the agent is not running; this is its last snapshot", "systemctl start tidegate.service")
        raise SystemExit(exits.UNREACHABLE)
    if with_code:
        raise SystemExit(exit_code(document))


def _watch(*, as_json: bool) -> int:
    from tidegate.cli.watch import run, view_for  # noqa: PLC0415 - asyncio and the bus take longer to import than all the rest

    def fit(document: Document) -> Iterator[str]:
        return fitted(lines(document, SystemClock().now().wall), hang=TITLE_COLUMNS, marks=MARKS)

    return run(view_for(fit, as_json=as_json), read)


def exit_code(document: Document) -> int:
    """The exit status that stands for the state."""
    state = text(document, "state")
    if state in _CODES:
        return _CODES[state]
    if table(document, "target"):
        return AVAILABLE
    last = text(table(document, "last_attempt"), "outcome")
    return UP_TO_DATE if last in {"", "applied"} else LAST_FAILED


def lines(document: Document, now: datetime) -> Iterator[str]:
    """Format the snapshot as text, line by line."""
    yield _line("State", text(document, "summary"))
    if text(document, "since"):
        yield _line("Since", when(text(document, "since"), now))
    yield from _deployments(document)
    yield from _health(table(document, "health"), now)
    yield from _rollback_due(table(document, "rollback_due"), now)
    for held in rows(document, "deferred"):
        yield from _deferral(held, now)
    yield from _passed_over(rows(document, "passed_over"))
    yield from _source_flaws(table(document, "source_flaws"))
    for gate in rows(document, "gates"):
        yield from _wait(gate, now)
    yield from _lock(table(document, "lock"), now)
    yield from _checks(document, now)
    yield from _follows(table(document, "follows"), now)
    yield from _last(document, now)
    for denial in rows(document, "denied"):
        yield _line("Denied", f"{_release(table(denial, 'release'))}: {text(denial, 'evidence')}")
    yield from _trouble(document, now)
    yield from _host(table(document, "host"))


def _deployments(document: Document) -> Iterator[str]:
    yield _line("Booted", _release(table(document, "booted")))
    staged = table(document, "staged")
    if staged:
        locked = "locked: not used by the next boot" if staged.get("locked") else "used by the next boot"
        yield _line("Staged", f"{_release(staged)}, {locked}")
    if table(document, "rollback"):
        yield _line("Rollback", _release(table(document, "rollback")))


def _passed_over(releases: list[Document]) -> Iterator[str]:
    for one in releases:
        if text(one, "cause") not in _NOT_SKIPPED:
            yield _line("Skipped", f"{text(table(one, 'release'), 'version')} {text(one, 'reason')}")


def _source_flaws(flaws: Document) -> Iterator[str]:
    if flaws:
        first = next((str(one) for one in items(flaws, "first")), "")
        yield _line(
            "Source", f"flaws of the update graph that are left out: {text(flaws, 'count')}; the first: {first}"
        )


def _health(health: Document, now: datetime) -> Iterator[str]:
    """The health watch of the running boot, and the checks that have not passed."""
    if not health:
        return
    version, verdict = text(table(health, "release"), "version"), text(health, "verdict")
    reason = f": {text(health, 'reason')}" if text(health, "reason") else ""
    end = f", ends {when(text(health, 'until'), now)}" if verdict == "watching" else ""
    yield _line("Health", f"{version} {_VERDICTS.get(verdict, verdict)}{reason}{end}")
    for check in rows(health, "checks"):
        if text(check, "state") != "passed":
            detail = f": {text(check, 'detail')}" if text(check, "detail") else ""
            yield _line("", f"{text(check, 'check')} ({text(check, 'weight')}): {text(check, 'state')}{detail}")


def _rollback_due(due: Document, now: datetime) -> Iterator[str]:
    if due:
        since = when(text(due, "since"), now)
        yield _line("Due", f"back to {_release(table(due, 'release'))}, since {since}: {text(due, 'reason')}")


def _deferral(held: Document, now: datetime) -> Iterator[str]:
    turn_at = text(held, "turn_at")
    turn = f", this host's turn is {when(turn_at, now)}" if turn_at else ""
    yield _line("Held", f"{text(table(held, 'release'), 'version')} {text(held, 'reason')}{turn}")


def _host(host: Document) -> Iterator[str]:
    """The host's identity to servers. Hosts that were cloned with their machine id show the same one."""
    if host:
        stream = f", stream {text(host, 'stream')}" if text(host, "stream") else ""
        yield _line("Host", f"{text(host, 'node_uuid') or 'without an id'}, group {text(host, 'group')}{stream}")
        for doubt in cast("list[str]", host.get("doubts", [])):
            yield _line("", doubt)


def _wait(gate: Document, now: datetime) -> Iterator[str]:
    if text(gate, "verdict") == "wait":
        yield _line("Waits", f"{text(gate, 'gate')}: {reason_of(gate, now)}")
        yield from _remedy(gate)


def _lock(lock: Document, now: datetime) -> Iterator[str]:
    if lock:
        why = f": {text(lock, 'why')}" if text(lock, "why") else ""
        state = text(lock, "state").replace("_", " ")
        yield _line("Lock", f"{state} since {when(text(lock, 'since'), now)}, {text(lock, 'server')}{why}")


def _checks(document: Document, now: datetime) -> Iterator[str]:
    last, following = text(document, "last_check"), text(document, "next_check")
    parts = [f"last {when(last, now)}" if last else "none yet", _next(following, now) if following else ""]
    yield _line("Checks", ", ".join(part for part in parts if part))


def _follows(follows: Document, now: datetime) -> Iterator[str]:
    """The source of releases, the strategies, and the window in which they let the host reboot."""
    if follows:
        source = table(follows, "source")
        name = text(source, "url") or "the remote of the booted release"
        signed = ", signed" if source.get("signed") else ""
        strategies = ", ".join(cast("list[str]", follows.get("strategy", [])))
        yield _line("Follows", f"{name}{signed}; strategy {strategies}{_window(table(follows, 'window'), now)}")


def _window(window: Document, now: datetime) -> str:
    until = text(window, "until")
    if not window or (until and not when(until, now).startswith("in ")):
        return ""  # there is no schedule, or the snapshot is older than the window
    if not until:
        return ", open without end" if window.get("open") else ", no window ahead"
    return f", {'open until' if window.get('open') else 'next window'} {clock_time(until)}, {when(until, now)}"


def _next(instant: str, now: datetime) -> str:
    """The next check. If its time has passed, another operation is in progress, or the snapshot is old."""
    due = when(instant, now)
    return f"next {due}" if due.startswith("in ") else "the next is due"


def _last(document: Document, now: datetime) -> Iterator[str]:
    last = table(document, "last_attempt")
    if last:
        move = f"{text(table(last, 'from'), 'version')} -> {text(table(last, 'to'), 'version')}"
        outcome = text(last, "outcome").replace("_", " ")
        yield _line("Last", f"{move}: {outcome}, {when(text(last, 'ended_at'), now)} ({text(last, 'detail')})")


def _trouble(document: Document, now: datetime) -> Iterator[str]:
    trouble, stale = table(document, "last_error"), table(document, "stale_config")
    if trouble:
        yield _line("Trouble", f"{text(trouble, 'message')} (since {when(text(trouble, 'at'), now)})")
        yield from _remedy(trouble)
    if stale:
        yield _line("Config", f"not reloaded, the last good one is in force: {text(stale, 'message')}")
        yield from _remedy(stale)


def _remedy(failure: Document) -> Iterator[str]:
    if text(failure, "remedy"):
        yield _line("", f"to do: {text(failure, 'remedy')}")


def _line(title: str, value: str) -> str:
    return f"{title + ':' if title else '':<{TITLE_COLUMNS}}{value}"


def _release(release: Document) -> str:
    version, payload = text(release, "version"), text(release, "payload")
    return f"{version} ({payload[:12]})" if payload else "unknown"
