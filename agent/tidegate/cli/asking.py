"""Asking the agent for something over D-Bus: what is checked before, and what its answer comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from tidegate.cli import exits

ANSWER_SECS = 15 * 60.0
"""Longer than the agent's own deadlines for what it looks up first, so that its account of what went wrong arrives."""

REBOOT_SECS = 55 * 60.0
"""Longer than arming, both rounds of gates and both of the lock server may take."""

F = TypeVar("F", bound=Callable[..., object])


def reason_option(where: str) -> Callable[[F], F]:
    """``--reason``, which goes ``where``."""
    return click.option("--reason", required=True, metavar="TEXT", help=f"Why; it goes into {where}.")


def checked_reason(reason: str) -> str:
    """A reason that says something; a usage error where it does not."""
    if not reason.strip():
        raise click.UsageError("--reason needs a text: it is what the next administrator reads")
    return reason


def gates_in(override: str | None) -> list[str]:
    """The gates that ``--override`` names; a usage error where it is given and names none."""
    gates = [name.strip() for name in (override or "").split(",") if name.strip()]
    if override is not None and not gates:
        raise click.UsageError("--override needs the name of a gate; tidegate explain has them")
    return gates


def ask(member: str, timeout_secs: float, signature: str = "", *arguments: object, reboots: bool = False) -> None:
    """Ask, print the answer, and exit as it says. ``reboots``: a bus that goes away meanwhile is the answer, too."""
    from tidegate.errors import ErrorKind, TidegateError  # noqa: PLC0415

    try:
        click.echo(answer_of(member, timeout_secs, signature, *arguments))
    except TidegateError as err:
        if reboots and err.kind is ErrorKind.BUS_LOST:
            click.echo("the host is going down")
            return
        exits.fail(err)


def answer_of(member: str, timeout_secs: float, signature: str = "", *arguments: object) -> str:
    """Ask, and give the answer; who interrupts is told that the agent goes on.

    Raises:
        TidegateError: what the agent says instead, or why it cannot be asked.
    """
    import asyncio  # noqa: PLC0415 - asyncio and the bus cost more than all of `status`

    from tidegate.agent_api import client  # noqa: PLC0415

    try:
        return asyncio.run(client.ask_agent(member, timeout_secs, signature, *arguments))
    except KeyboardInterrupt:
        exits.complain("interrupted; what the agent had begun goes on", "tidegate status")
        raise SystemExit(exits.FAILED) from None
