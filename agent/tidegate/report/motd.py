"""Derive the message of the day and the reboot-required flag from the snapshot.

Both are files beside the snapshot, and their changes start tidegate-reboot-required.service. No login shows the first,
which the agent's user can replace: root makes ``/run/motd.d/60-tidegate`` from the snapshot itself (``tidegate
login-message``). Of the second only the existence counts: root's systemd/tidegate-reboot-required.sh creates and
removes ``/run/reboot-required`` accordingly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from tidegate.jsonread import Document, instant, items, rows, table, text
from tidegate.printable import moment, one_line
from tidegate.system.atomicfile import write_visibly

MOTD_FILE = "motd"
REBOOT_FILE = "reboot-required"

MAX_NOTICES = 3
"""The most severe come first; ``tidegate status`` has all of them."""

_MAX_REASON_CHARS = 200
_MAX_NAME_CHARS = 40
_MAX_NAMES = 20
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Notices:
    """``motd``: the text for people who log in, or empty. ``reboot_required``: a release waits for a reboot."""

    motd: str = ""
    reboot_required: bool = False


class MotdWriter:
    """Writes both files from each snapshot, where they have changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: Notices | None = None

    def post(self, snapshot: Document) -> None:
        """Write the motd and the flag from a snapshot; until the host has been read, leave them as they are.

        Raises:
            OSError: a file could not be written; the next snapshot tries again.
        """
        if snapshot.get("booted") is None and text(snapshot, "state") != "failed":
            return
        latest = notices(snapshot)
        if latest != self._written:
            self._write(MOTD_FILE, latest.motd)
            self._write(REBOOT_FILE, "yes\n" if latest.reboot_required else "")
            self._written = latest

    def _write(self, name: str, content: str) -> None:
        """Replace the file; remove it if ``content`` is empty."""
        if content:
            write_visibly(self._folder / name, content.encode(), _MODE)
        else:
            with suppress(FileNotFoundError):
                (self._folder / name).unlink()


def notices(snapshot: Document) -> Notices:
    """The notices for the situation that a snapshot describes."""
    worst = islice(_notices(snapshot), MAX_NOTICES)
    motd = "".join(f"Tidegate: {what}\n  To do: {to_do}\n" for what, to_do in worst)
    return Notices(motd, _awaits_reboot(snapshot))


def _awaits_reboot(snapshot: Document) -> bool:
    under_way = text(snapshot, "state") in {"finalizing", "rebooting"}
    return under_way or bool(table(snapshot, "staged")) or bool(table(snapshot, "rollback_due"))


def _notices(snapshot: Document) -> Iterator[tuple[str, str]]:
    """Each notice and what to do about it, the most severe first."""
    yield from _failed(snapshot)
    yield from _unhealthy(snapshot)
    yield from _rollback_due(table(snapshot, "rollback_due"), _version(snapshot, "booted"))
    yield from _last_attempt(snapshot)
    yield from _stale_config(table(snapshot, "stale_config"))
    yield from _dead_end(snapshot)
    yield from _staged(snapshot)


def _failed(snapshot: Document) -> Iterator[tuple[str, str]]:
    if text(snapshot, "state") == "failed":
        remedies = [text(row, "remedy") for row in (*rows(snapshot, "gates"), table(snapshot, "last_error"))]
        remedy = next(filter(None, remedies), "tidegate status")
        yield f"this host is not updated{_time(snapshot, 'since')}: {_reason(snapshot, 'summary')}", remedy


def _unhealthy(snapshot: Document) -> Iterator[tuple[str, str]]:
    """A host that is paused, or that keeps running an unhealthy release."""
    health = table(snapshot, "health")
    paused = text(snapshot, "state") == "paused"
    if not paused and (text(health, "verdict") != "bad" or table(snapshot, "rollback_due")):
        return
    names = (text(check, "check") for check in rows(health, "checks") if text(check, "state") == "failed")
    failed = list(islice(names, _MAX_NAMES))
    checks = f" ({', '.join(failed)})" if failed else ""
    effect = "updates are paused" if paused else "it stays in use"
    since = _time(snapshot, "since") if paused else _time(health, "since")
    what = f"release {_version(snapshot, 'booted')} is unhealthy{since}{checks}; {effect}"
    yield what, "tidegate status; then repair it, or tidegate resume, or tidegate rollback"


def _rollback_due(due: Document, booted: str) -> Iterator[tuple[str, str]]:
    if due:
        what = f"a rollback from release {booted} is pending{_time(due, 'since')}: {_reason(due, 'reason')}"
        yield what, "nothing, the host reboots as soon as every rule allows it; tidegate explain shows which do not"


def _last_attempt(snapshot: Document) -> Iterator[tuple[str, str]]:
    """The last attempt, if it was a rollback or failed. One that a power cut prevented is simply repeated."""
    last = table(snapshot, "last_attempt")
    origin, target, outcome = _version(last, "from"), _version(last, "to"), text(last, "outcome")
    when = _time(last, "ended_at", "on")
    if text(last, "purpose") == "rollback" and outcome == "applied":
        yield f"this host was rolled back from release {origin} to {target}{when}: {_reason(last, 'reason')}", _HISTORY
    elif outcome in _UNDONE and not table(snapshot, "rollback_due"):
        what = f"the update to {target} {_UNDONE[outcome]}{when}: {_reason(last, 'detail')}"
        yield what, f"{_HISTORY}; to have it tried again: tidegate allow {target}"
    elif outcome == "finalize_failed":
        yield f"the update to {target} failed{when}: {_reason(last, 'detail')}", _HISTORY


def _stale_config(failure: Document) -> Iterator[tuple[str, str]]:
    if failure:
        what = f"the configuration is invalid, the last valid one stays in force: {_reason(failure, 'message')}"
        yield what, text(failure, "remedy") or "tidegate config check"


def _dead_end(snapshot: Document) -> Iterator[tuple[str, str]]:
    if snapshot.get("dead_end") is not None:
        what = f"release {_version(snapshot, 'booted')} gets no further updates: {_reason(snapshot, 'dead_end')}"
        yield what, "move the host to another release by hand; tidegate status"


def _staged(snapshot: Document) -> Iterator[tuple[str, str]]:
    if table(snapshot, "staged"):
        names = (one_line(gate, _MAX_NAME_CHARS) for gate in items(snapshot, "blocked_by") if isinstance(gate, str))
        gates = list(islice(names, _MAX_NAMES))
        held = f" (held by {', '.join(gates)})" if gates else ""
        since = _time(snapshot, "waiting_since")
        what = f"release {_version(snapshot, 'staged')} is staged and waits for a reboot{since}{held}"
        yield what, "nothing, or tidegate apply --reason TEXT; tidegate explain shows what it waits for"


_HISTORY = "tidegate history"

_UNDONE = {"fell_back": "fell back", "rejected": "was rejected"}
"""Outcomes of an update after which the host runs the previous release again."""


def _version(document: Document, key: str) -> str:
    return text(table(document, key), "version") or "?"


def _reason(document: Document, key: str) -> str:
    """Text of any origin, safe to print: :func:`~tidegate.jsonread.text` removes control characters."""
    return text(document, key, _MAX_REASON_CHARS) or "reason unknown"


def _time(document: Document, key: str, word: str = "since") -> str:
    secs = instant(document, key)
    return "" if secs is None else f" {word} {moment(datetime.fromtimestamp(secs, UTC))}"
