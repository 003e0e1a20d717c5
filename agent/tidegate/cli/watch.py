"""``tidegate status --watch``: the snapshot again whenever the agent says on the bus that there is something new."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

import click

from tidegate.agent_api.client import Following
from tidegate.bus.bus import Bus
from tidegate.cli import exits
from tidegate.cli.snapshot_file import text
from tidegate.errors import TidegateError
from tidegate.jsonread import Document

RETURN_SECS = 15.0
"""How long an agent that went away is waited for: systemd starts one that failed after 5 seconds."""

REDRAW_SECS = 30.0
"""On a terminal, so that "10 min ago" does not become a lie."""

_CLEAR = "\x1b[H\x1b[2J"

Read = Callable[[], Document]


class View(Protocol):
    """How a snapshot is shown."""

    redraw_secs: float | None
    """How long what was shown is good for; None for ever."""

    def show(self, document: Document) -> None:
        """Show ``document``, where it says something new to this view."""
        ...


class Lines:
    """A line for each change, for logs and pipes."""

    redraw_secs: float | None = None

    def __init__(self) -> None:
        self._last = ""

    def show(self, document: Document) -> None:
        """State and summary, where they are others than before."""
        said = f"{text(document, 'state')}: {text(document, 'summary')}"
        if said != self._last:
            self._last = said
            click.echo(f"{text(document, 'written_at')} {said}")


class JsonLines:
    """The whole document in a line, for programs."""

    redraw_secs: float | None = None

    def __init__(self) -> None:
        self._last = ""

    def show(self, document: Document) -> None:
        """The document, where it is another than before."""
        said = json.dumps({**document, "live": True, "source": "snapshot"})
        if said != self._last:
            self._last = said
            click.echo(said)


class Screen:
    """All of it, on a terminal that is cleared before."""

    redraw_secs: float | None = REDRAW_SECS

    def __init__(self, lines: Callable[[Document], Iterable[str]]) -> None:
        self._lines = lines

    def show(self, document: Document) -> None:
        """The document as ``tidegate status`` shows it."""
        shown = "\n".join((*self._lines(document), "", "Following the agent; Ctrl-C ends this."))
        click.echo(f"{_CLEAR}{shown}", color=True)


def view_for(lines: Callable[[Document], Iterable[str]], *, as_json: bool) -> View:
    """The view that fits where the output goes."""
    if as_json:
        return JsonLines()
    return Screen(lines) if sys.stdout.isatty() else Lines()


def run(view: View, read: Read) -> int:
    """Follow until interrupted; the exit code."""
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
    """Show what ``read`` gives now and after each change, until the agent is gone for good; the exit code."""
    following = await Following.begin(bus)
    while bus.connected:
        document = read()
        if following.is_there:
            view.show(document)
            await following.news(view.redraw_secs)
        elif text(document, "state") == "rebooting" or not await _came_back(bus, following, return_secs):
            break
    return _left(read())


async def _came_back(bus: Bus, following: Following, return_secs: float) -> bool:
    """Whether an agent that is not there is back in time."""
    exits.complain(f"the agent does not run; waiting {return_secs:.0f} s for it")
    with suppress(TimeoutError):
        async with asyncio.timeout(return_secs):
            while bus.connected and not following.is_there:
                await following.news()
    return following.is_there


def _left(last: Document) -> int:
    if text(last, "state") == "rebooting":
        click.echo("the host is going down")
        return exits.DONE
    exits.complain("the agent does not run; that was its last word", "systemctl start tidegate.service")
    return exits.UNREACHABLE
