"""``tidegate status --watch``: show the snapshot again whenever the agent announces a change on the bus."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from tidegate.agent_api.client import Following
from tidegate.bus.bus import Bus
from tidegate.cli import exits, output
from tidegate.cli.snapshot_file import text
from tidegate.errors import TidegateError
from tidegate.jsonread import Document

RETURN_SECS = 15.0
"""How long to wait for an agent that has stopped. systemd restarts a failed one after 5 seconds."""

REDRAW_SECS = 30.0
"""Redraw interval on a terminal, which keeps relative times such as "10 min ago" right."""


Read = Callable[[], Document]


class View(Protocol):
    """A way to show snapshots."""

    redraw_secs: float | None
    """When to show the snapshot again without a change, in seconds; None for never."""

    def show(self, document: Document) -> None:
        """Show ``document``, if it differs in what this view shows."""
        ...


class Lines:
    """A line for each change, for logs and pipes."""

    redraw_secs: float | None = None

    def __init__(self) -> None:
        self._last = ""

    def show(self, document: Document) -> None:
        """Print state and summary, if they have changed."""
        line = f"{text(document, 'state')}: {text(document, 'summary')}"
        if line != self._last:
            self._last = line
            output.line(f"{text(document, 'written_at')} {line}")


class JsonLines:
    """The whole document on one line, for programs."""

    redraw_secs: float | None = None

    def __init__(self) -> None:
        self._last = ""

    def show(self, document: Document) -> None:
        """Print the document, if it has changed."""
        line = json.dumps({**document, "live": True, "source": "snapshot"})
        if line != self._last:
            self._last = line
            output.line(line)


class Screen:
    """The text of ``tidegate status`` on a terminal, cleared before each update."""

    redraw_secs: float | None = REDRAW_SECS

    def __init__(self, lines: Callable[[Document], Iterable[str]]) -> None:
        self._lines = lines

    def show(self, document: Document) -> None:
        """Clear the screen and print the status."""
        output.screen((*self._lines(document), "", "Following the agent; press Ctrl-C to stop."))


def view_for(lines: Callable[[Document], Iterable[str]], *, as_json: bool) -> View:
    """Select the view for the output: JSON, a terminal, or lines for logs and pipes."""
    if as_json:
        return JsonLines()
    return Screen(lines) if sys.stdout.isatty() else Lines()


def run(view: View, read: Read) -> int:
    """Follow the agent until interrupted; returns the exit code."""
    try:
        return asyncio.run(_connected(view, read))
    except TidegateError as err:
        exits.complain(err.message, err.remedy)
        return exits.code_of(err.kind)
    except KeyboardInterrupt:
        return exits.DONE


async def _connected(view: View, read: Read) -> int:
    bus = await Bus.connect()
    try:
        return await follow(bus, view, read)
    finally:
        await bus.close()


async def follow(bus: Bus, view: View, read: Read, return_secs: float = RETURN_SECS) -> int:
    """Show what ``read`` returns, now and after each change, until the agent has stopped; returns the exit code."""
    following = await Following.begin(bus)
    while bus.connected:
        document = read()
        if following.is_there:
            view.show(document)
            await following.news(view.redraw_secs)
        elif text(document, "state") == "rebooting" or not await _came_back(bus, following, return_secs):
            break
    return _ended(read())


async def _came_back(bus: Bus, following: Following, return_secs: float) -> bool:
    """Wait up to ``return_secs`` for the agent to come back; returns whether it has."""
    exits.complain(f"the agent is not running; waiting {return_secs:.0f} s for it")
    with suppress(TimeoutError):
        async with asyncio.timeout(return_secs):
            while bus.connected and not following.is_there:
                await following.news()
    return following.is_there


def _ended(last: Document) -> int:
    if text(last, "state") == "rebooting":
        output.line("the host is going down")
        return exits.DONE
    exits.complain("the agent is not running; this was its last snapshot", "systemctl start tidegate.service")
    return exits.UNREACHABLE
