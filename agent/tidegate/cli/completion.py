"""Shell completion of values that depend on this host. It runs at each TAB, and therefore reads only the snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tidegate.report.status_file import STATUS_FILE, read_snapshot

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def gates(_context: click.Context, _option: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the last name of a comma-separated list with gates that block a reboot now and can be overridden."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shell completion only

    before, comma, last = typed.rpartition(",")
    given = before.split(",")
    names = [name for name in _overridable() if name.startswith(last) and name not in given]
    return [CompletionItem(f"{before}{comma}{name}") for name in names]


def _overridable() -> list[str]:
    blocked = _blocked_by()
    if not blocked:
        return []
    from tidegate.gates.registry import is_overridable  # noqa: PLC0415 - imports every gate

    return [name for name in blocked if is_overridable(name)]


def _blocked_by() -> list[str]:
    """The blocking gates of the snapshot; none on any error, as a shell has no place to show it."""
    try:
        return list(cast("list[str]", read_snapshot(STATUS_FILE)["blocked_by"]))
    except (OSError, ValueError, KeyError, TypeError):
        return []
