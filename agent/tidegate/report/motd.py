"""What people are told who log in, and whether the host waits for a reboot: a view of the snapshot, as ``status`` is.

Both are files beside the snapshot. ``/run/motd.d/60-tidegate`` is a link to the first; from the other, which only is
there or is not, root makes ``/run/reboot-required`` (systemd/tidegate-reboot-required.sh).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from tidegate.jsonread import Document, instant, items, rows, table, text
from tidegate.system.atomicfile import write_visibly

MOTD_FILE = "motd"
REBOOT_FILE = "reboot-required"

MAX_NOTICES = 3
"""The worst come first; who wants all of it asks for the status."""

_MAX_REASON_CHARS = 200
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Notices:
    """``motd``: the whole text, empty where there is nothing to say. ``reboot_required``: a reboot is waited for."""

    motd: str = ""
    reboot_required: bool = False


class MotdWriter:
    """Keeps the two files in step with the snapshot, and writes only what has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._posted: Notices | None = None

    def post(self, told: Document) -> None:
        """Put up what ``told``, a snapshot, gives occasion to. While the host is not read, what was said before stands.

        Raises:
            OSError: it could not be written; it is tried again with the next snapshot.
        """
        if told.get("booted") is None and text(told, "state") != "failed":
            return
        now = notices(told)
        if now != self._posted:
            self._put(MOTD_FILE, now.motd)
            self._put(REBOOT_FILE, "yes\n" if now.reboot_required else "")
            self._posted = now

    def _put(self, name: str, content: str) -> None:
        """A file with nothing in it is no file."""
        if content:
            write_visibly(self._folder / name, content.encode(), _MODE)
        else:
            with suppress(FileNotFoundError):
                (self._folder / name).unlink()


def notices(told: Document) -> Notices:
    """What a snapshot gives occasion to say."""
    said = islice(_notices(told), MAX_NOTICES)
    return Notices("".join(f"Tidegate: {what}\n  To do: {to_do}\n" for what, to_do in said), _waits_for_reboot(told))


def _waits_for_reboot(told: Document) -> bool:
    under_way = text(told, "state") in {"finalizing", "rebooting"}
    return under_way or bool(table(told, "staged")) or bool(table(told, "rollback_due"))


def _notices(told: Document) -> Iterator[tuple[str, str]]:
    """What there is to say and what to do about it, the worst first."""
    yield from _failed(told)
    yield from _unhealthy(told)
    yield from _due(table(told, "rollback_due"), _version(told, "booted"))
    yield from _came_back(told)
    yield from _stale(table(told, "stale_config"))
    yield from _dead_end(told)
    yield from _staged(told)


def _failed(told: Document) -> Iterator[tuple[str, str]]:
    if text(told, "state") == "failed":
        remedies = [text(row, "remedy") for row in (*rows(told, "gates"), table(told, "last_error"))]
        remedy = next(filter(None, remedies), "tidegate status")
        yield f"this host is not updated{_since(told, 'since')}: {_reason(told, 'summary')}", remedy


def _unhealthy(told: Document) -> Iterator[tuple[str, str]]:
    """A host that is paused, or that goes on with a release that is not well."""
    health = table(told, "health")
    paused = text(told, "state") == "paused"
    if not paused and (text(health, "verdict") != "bad" or table(told, "rollback_due")):
        return
    failed = [text(check, "check") for check in rows(health, "checks") if text(check, "state") == "failed"]
    why = f" ({', '.join(failed)})" if failed else ""
    goes_on = "the agent waits for somebody" if paused else "it is used all the same"
    then = "tidegate status; then mend it, or tidegate resume, or tidegate rollback"
    since = _since(told, "since") if paused else _since(health, "since")
    yield f"release {_version(told, 'booted')} is not well{since}{why}; {goes_on}", then


def _due(due: Document, booted: str) -> Iterator[tuple[str, str]]:
    if due:
        went = f"release {booted} is left again{_since(due, 'since')}: {_reason(due, 'reason')}"
        yield went, "nothing, it reboots as soon as it may; tidegate explain tells what it waits for"


def _came_back(told: Document) -> Iterator[tuple[str, str]]:
    """The last attempt, where it did not lead to where it should have."""
    last = table(told, "last_attempt")
    origin, target, outcome = _version(last, "from"), _version(last, "to"), text(last, "outcome")
    when = _since(last, "ended_at", "on")
    if text(last, "purpose") == "rollback" and outcome == "applied":
        yield f"this host went back from release {origin} to {target}{when}: {_reason(last, 'reason')}", _LOOK
    elif outcome in {"fell_back", "rejected"} and not table(told, "rollback_due"):
        again = f"{_LOOK}; tidegate allow {target} has it tried again"
        yield (
            f"the update to {target} did not last, {outcome.replace('_', ' ')}{when}: {_reason(last, 'detail')}",
            again,
        )
    elif outcome == "finalize_failed":
        yield f"the update to {target} could not be made{when}: {_reason(last, 'detail')}", _LOOK


def _stale(failure: Document) -> Iterator[tuple[str, str]]:
    if failure:
        what = f"the configuration is bad, an older one is in force: {_reason(failure, 'message')}"
        yield what, text(failure, "remedy") or "tidegate config check"


def _dead_end(told: Document) -> Iterator[tuple[str, str]]:
    if told.get("dead_end") is not None:
        what = f"release {_version(told, 'booted')} gets no further updates: {_reason(told, 'dead_end')}"
        yield what, "move the host to another release by hand; tidegate status"


def _staged(told: Document) -> Iterator[tuple[str, str]]:
    if table(told, "staged"):
        gates = [gate for gate in items(told, "blocked_by") if isinstance(gate, str)]
        held = f" (held by {', '.join(gates)})" if gates else ""
        what = (
            f"release {_version(told, 'staged')} is staged and waits for a reboot{_since(told, 'waiting_since')}{held}"
        )
        yield what, "nothing, or tidegate apply --reason TEXT; tidegate explain tells what it waits for"


_LOOK = "tidegate history"


def _version(told: Document, key: str) -> str:
    return text(table(told, key), "version") or "?"


def _reason(told: Document, key: str) -> str:
    """Whoever wrote it, it goes to a terminal: :func:`~tidegate.jsonread.text` has made it printable."""
    return text(told, key, _MAX_REASON_CHARS) or "no reason is known"


def _since(told: Document, key: str, word: str = "since") -> str:
    at = instant(told, key)
    return "" if at is None else f" {word} {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
