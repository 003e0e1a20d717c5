"""What shells offer for words that only this host knows; asked at each press of a key, so it reads one small file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from tidegate.cli.snapshot_file import STATUS_FILE

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def gates(_context: click.Context, _option: click.Parameter, typed: str) -> list[CompletionItem]:
    """The gates that hold a reboot now and may be overridden, for the last of several names with commas between."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - only shells ask for it

    before, comma, last = typed.rpartition(",")
    named = before.split(",")
    offered = [name for name in _overridable() if name.startswith(last) and name not in named]
    return [CompletionItem(f"{before}{comma}{name}") for name in offered]


def _overridable() -> list[str]:
    blocked = _blocked_by()
    if not blocked:
        return []
    from tidegate.gates.registry import is_overridable  # noqa: PLC0415 - imports every gate

    return [name for name in blocked if is_overridable(name)]


def _blocked_by() -> list[str]:
    """Nothing where there is no agent: whoever completes a word wants no account of what is wrong."""
    try:
        with open(STATUS_FILE, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs more than reading it
            return list(cast("dict[str, list[str]]", json.load(file))["blocked_by"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
