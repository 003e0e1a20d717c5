"""``tidegate apply`` and ``lock forget``: asking the agent over D-Bus."""

from __future__ import annotations

import click

from tidegate.cli import completing, exits

CHECK_SECS = 15 * 60.0
"""Longer than the agent's own deadline for a check, so that its account of what went wrong arrives."""

APPLY_SECS = 55 * 60.0
"""Longer than arming, both rounds of gates and both of the lock server may take."""


@click.command()
@click.option("--now", is_flag=True, help="Do not wait for the strategy: only what guards a person's reboot is asked.")
@click.option(
    "--override",
    metavar="GATE[,GATE]",
    shell_complete=completing.gates,
    help="Pass these gates over, this once; see tidegate explain.",
)
@click.option("--reason", required=True, metavar="TEXT", help="Why; it goes into the history and the journal.")
def apply(*, now: bool, override: str | None, reason: str) -> None:
    """Reboot into the staged release, if every rule allows it at this moment.

    Exits with 3 and the reasons where one says no.
    """
    if not reason.strip():
        raise click.UsageError("--reason needs a text: it is what the next administrator reads")
    gates = [name.strip() for name in (override or "").split(",") if name.strip()]
    if override is not None and not gates:
        raise click.UsageError("--override needs the name of a gate; tidegate explain has them")
    _ask("Apply", APPLY_SECS, "sbas", reason, now, gates)


@click.command()
@click.option("--reason", required=True, metavar="TEXT", help="Why; it goes into the journal.")
def forget_lock(*, reason: str) -> None:
    """Forget a lock that the agent still has to give back: for when its server is gone for good.

    The server is not told. Where it is still there, its operator has to free the slot.
    """
    if not reason.strip():
        raise click.UsageError("--reason needs a text: it is what the next administrator reads")
    _ask("ForgetLock", CHECK_SECS, "s", reason)


def _ask(member: str, timeout_secs: float, signature: str = "", *arguments: object) -> None:
    import asyncio  # noqa: PLC0415 - asyncio and the bus cost more than all of `status`

    from tidegate.agent_api.client import ask_agent  # noqa: PLC0415
    from tidegate.errors import ErrorKind, TidegateError  # noqa: PLC0415

    try:
        click.echo(asyncio.run(ask_agent(member, timeout_secs, signature, *arguments)))
    except TidegateError as err:
        if member == "Apply" and err.kind is ErrorKind.BUS_LOST:
            click.echo("the host is going down")
            return
        exits.fail(err)
    except KeyboardInterrupt:
        exits.complain("interrupted; what the agent had begun goes on", "tidegate status")
        raise SystemExit(exits.FAILED) from None
