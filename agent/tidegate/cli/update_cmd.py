"""Commands that ask the agent to act: ``apply``, ``rollback``, ``resume``, ``deny``, ``allow``, ``lock forget`` ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from tidegate.cli import completing, exits

ANSWER_SECS = 15 * 60.0
"""How long an answer is waited for: longer than the agent's own deadlines, so that its error message arrives."""

REBOOT_SECS = 55 * 60.0
"""The same for a reboot: longer than arming, both rounds of gates and both lock requests may take."""

F = TypeVar("F", bound=Callable[..., object])


def reason_option(recorded_in: str) -> Callable[[F], F]:
    """The option ``--reason``, whose help says where the reason is recorded."""
    return click.option("--reason", required=True, metavar="TEXT", help=f"Why; it is recorded in {recorded_in}.")


override_option = click.option(
    "--override",
    metavar="GATE[,GATE]",
    shell_complete=completing.gates,
    help="Do not ask these gates, this once; see tidegate explain.",
)


@click.command()
@click.option("--now", is_flag=True, help="Do not wait for the strategy: ask only the gates that guard manual reboots.")
@override_option
@reason_option("the history and the journal")
def apply(*, now: bool, override: str | None, reason: str) -> None:
    """Reboot into the staged release, if every gate allows it now.

    Exits with 3 and the reasons where a gate does not.
    """
    ask("Apply", REBOOT_SECS, "sbas", checked_reason(reason), now, gates_in(override), reboots=True)


@click.command()
@override_option
@reason_option("the history and the journal")
def rollback(*, override: str | None, reason: str) -> None:
    """Reboot into the release before the running one, and deny the running one.

    Exits with 3 and the reasons where a gate says no, or where there is nothing to go back to.
    """
    ask("Rollback", REBOOT_SECS, "sas", checked_reason(reason), gates_in(override), reboots=True)


@click.command()
@reason_option("the journal")
def resume(*, reason: str) -> None:
    """Let a host that paused after a bad update go on with the release that it runs."""
    ask("Resume", ANSWER_SECS, "s", checked_reason(reason))


@click.command()
@click.argument("release", metavar="VERSION")
@reason_option("the list of denied releases and the journal")
def deny(*, release: str, reason: str) -> None:
    """Do not let a release be staged, until that is lifted.

    VERSION is a version that the agent knows, or a payload.
    """
    ask("Deny", ANSWER_SECS, "ss", release, checked_reason(reason))


@click.command()
@click.argument("release", metavar="VERSION")
@reason_option("the journal")
def allow(*, release: str, reason: str) -> None:
    """Lift the denial of a release, whether a person or the agent denied it.

    VERSION is a version or a payload that tidegate status lists as denied.
    """
    ask("Allow", ANSWER_SECS, "ss", release, checked_reason(reason))


@click.command()
def reload() -> None:
    """Read the configuration again.

    Exits with 3 where it is invalid; the last good one stays in force then.
    """
    ask("Reload", ANSWER_SECS)


@click.command()
@reason_option("the journal")
def forget_lock(*, reason: str) -> None:
    """Forget a lock that the agent still has to give back: for when its server is gone for good.

    The server is not told. Where it is still there, its operator has to free the slot.
    """
    ask("ForgetLock", ANSWER_SECS, "s", checked_reason(reason))


def checked_reason(reason: str) -> str:
    """The reason.

    Raises:
        click.UsageError: it is blank.
    """
    if not reason.strip():
        raise click.UsageError("--reason needs a text: it is what the next administrator reads")
    return reason


def gates_in(override: str | None) -> list[str]:
    """The gates that ``--override`` names.

    Raises:
        click.UsageError: the option was given and names none.
    """
    gates = [name.strip() for name in (override or "").split(",") if name.strip()]
    if override is not None and not gates:
        raise click.UsageError("--override needs the name of a gate; tidegate explain lists them")
    return gates


def ask(member: str, timeout_secs: float, signature: str = "", *arguments: object, reboots: bool = False) -> None:
    """Ask the agent, print its answer, and exit as the answer says.

    ``reboots``: a bus connection that is lost meanwhile means that the host goes down.
    """
    from tidegate.errors import ErrorKind, TidegateError  # noqa: PLC0415

    try:
        click.echo(answer_of(member, timeout_secs, signature, *arguments))
    except TidegateError as err:
        if reboots and err.kind is ErrorKind.BUS_LOST:
            click.echo("the host is going down")
            return
        exits.fail(err)


def answer_of(member: str, timeout_secs: float, signature: str = "", *arguments: object) -> str:
    """The agent's answer to one method call. An interrupted call exits; what the agent has begun goes on.

    Raises:
        TidegateError: the agent's error, or why it cannot be asked.
    """
    import asyncio  # noqa: PLC0415 - asyncio and the bus cost more than all of `status`

    from tidegate.agent_api import client  # noqa: PLC0415

    try:
        return asyncio.run(client.ask_agent(member, timeout_secs, signature, *arguments))
    except KeyboardInterrupt:
        exits.complain("interrupted; what the agent had begun goes on", "tidegate status")
        raise SystemExit(exits.FAILED) from None
