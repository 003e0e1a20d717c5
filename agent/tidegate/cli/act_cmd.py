"""``tidegate check``, ``stage`` and ``apply``: asking the agent over D-Bus."""

from __future__ import annotations

import click

from tidegate.cli import exits

CHECK_SECS = 15 * 60.0
"""Longer than the agent's own deadline for a check, so that its account of what went wrong arrives."""

STAGE_SECS = 13 * 3600.0
"""Longer than the agent's own deadline for a staging, which has to do on a slow line."""

APPLY_SECS = 25 * 60.0
"""Longer than arming and both rounds of gates may take."""


@click.command()
def check() -> None:
    """Look for a newer release now."""
    _ask("Check", CHECK_SECS)


@click.command()
def stage() -> None:
    """Download and prepare the next release now; the next boot still leads into the running one."""
    _ask("Stage", STAGE_SECS)


@click.command()
@click.option("--now", is_flag=True, required=True, help="Do not wait for the strategy: gates are asked at once.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it goes into the history and the journal.")
def apply(*, now: bool, reason: str) -> None:  # noqa: ARG001 - --now says aloud that this reboots the host
    """Reboot into the staged release. Exits with 3 and the reasons where a gate says no."""
    if not reason.strip():
        raise click.UsageError("--reason needs a text: it is what the next administrator reads")
    _ask("Apply", APPLY_SECS, reason)


def _ask(member: str, timeout_secs: float, *arguments: str) -> None:
    import asyncio  # noqa: PLC0415 - asyncio and the bus cost more than all of `status`

    from tidegate.dbus.agent_client import ask_agent  # noqa: PLC0415
    from tidegate.errors import ErrorKind, TidegateError  # noqa: PLC0415

    try:
        click.echo(asyncio.run(ask_agent(member, timeout_secs, *arguments)))
    except TidegateError as err:
        if member == "Apply" and err.kind is ErrorKind.BUS_LOST:
            click.echo("the host is going down")
            return
        exits.fail(err)
    except KeyboardInterrupt:
        exits.complain("interrupted; what the agent had begun goes on", "tidegate status")
        raise SystemExit(exits.FAILED) from None
