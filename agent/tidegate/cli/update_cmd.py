"""Commands that make the agent act: ``apply``, ``rollback``, ``resume``, ``deny``, ``allow``, ``lock forget`` ..."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

import click

from tidegate.cli import completion, exits, output

if TYPE_CHECKING:
    from tidegate.errors import TidegateError
    from tidegate.jsonread import Document

ANSWER_SECS = 15 * 60.0
"""Timeout of a call: longer than the agent's own deadlines, so that its error message arrives."""

REBOOT_SECS = 55 * 60.0
"""Timeout of a call that reboots: longer than arming, two rounds of gates and two lock requests may take."""

F = TypeVar("F", bound=Callable[..., object])


def reason_option(recorded_in: str) -> Callable[[F], F]:
    """The required option ``--reason``; its help names the place where the reason is recorded."""
    return click.option("--reason", required=True, metavar="TEXT", help=f"The reason; it is recorded in {recorded_in}.")


override_option = click.option(
    "--override",
    metavar="GATE[,GATE]",
    shell_complete=completion.gates,
    help="Skip these gates for this attempt; tidegate explain lists them.",
)


prompt_option = click.option(
    "--allow-interactive/--no-allow-interactive",
    default=None,
    help="Let polkit ask for a password on this terminal. [default: for users other than root at a terminal]",
)


@click.command()
@click.option("--now", is_flag=True, help="Skip the strategy: ask only the gates that guard manual reboots.")
@override_option
@reason_option("the history and the journal")
@prompt_option
def apply(*, now: bool, override: str | None, reason: str, allow_interactive: bool | None) -> None:
    """Reboot into the staged release now, if every gate allows it.

    If a gate does not, its reason is printed and the exit status is 3.
    """
    ask(
        "Apply",
        REBOOT_SECS,
        "sbas",
        checked_reason(reason),
        now,
        gates_in(override),
        reboots=True,
        allow_interactive=allow_interactive,
    )


@click.command()
@override_option
@reason_option("the history and the journal")
@prompt_option
def rollback(*, override: str | None, reason: str, allow_interactive: bool | None) -> None:
    """Reboot into the previous release, and deny the running one.

    If a gate does not allow it, or there is no previous release, the reason is printed and the exit status is 3.
    """
    ask(
        "Rollback",
        REBOOT_SECS,
        "sas",
        checked_reason(reason),
        gates_in(override),
        reboots=True,
        allow_interactive=allow_interactive,
    )


@click.command()
@reason_option("the journal")
@prompt_option
def resume(*, reason: str, allow_interactive: bool | None) -> None:
    """Let a host that is paused after a bad update continue with the release that it runs."""
    ask("Resume", ANSWER_SECS, "s", checked_reason(reason), allow_interactive=allow_interactive)


@click.command()
@click.argument("release", metavar="VERSION")
@reason_option("the list of denied releases and the journal")
@prompt_option
def deny(*, release: str, reason: str, allow_interactive: bool | None) -> None:
    """Deny a release: it is not staged until the denial is lifted.

    VERSION is a version that the agent knows, or a payload.
    """
    ask("Deny", ANSWER_SECS, "ss", release, checked_reason(reason), allow_interactive=allow_interactive)


@click.command()
@click.argument("release", metavar="VERSION")
@reason_option("the journal")
@prompt_option
def allow(*, release: str, reason: str, allow_interactive: bool | None) -> None:
    """Lift the denial of a release, whether an operator or the agent denied it.

    VERSION is a version or a payload that tidegate status lists as denied.
    """
    ask("Allow", ANSWER_SECS, "ss", release, checked_reason(reason), allow_interactive=allow_interactive)


@click.command()
@prompt_option
def reload(*, allow_interactive: bool | None) -> None:
    """Read the configuration again.

    If it is invalid, the last good one stays in force, and the exit status is 3.
    """
    ask("Reload", ANSWER_SECS, allow_interactive=allow_interactive)


@click.command()
@reason_option("the journal")
@prompt_option
def forget_lock(*, reason: str, allow_interactive: bool | None) -> None:
    """Discard a pending release of the fleet lock whose server is gone for good.

    The server is not contacted. If it still exists, its operator has to free the slot.
    """
    ask("ForgetLock", ANSWER_SECS, "s", checked_reason(reason), allow_interactive=allow_interactive)


def checked_reason(reason: str) -> str:
    """Return ``reason``.

    Raises:
        click.UsageError: it is blank.
    """
    if not reason.strip():
        raise click.UsageError("--reason needs a text, for the next administrator to read")
    return reason


def gates_in(override: str | None) -> list[str]:
    """Parse the value of ``--override``; None, the option not being given, names no gate.

    Raises:
        click.UsageError: the option was given and names none.
    """
    gates = [name.strip() for name in (override or "").split(",") if name.strip()]
    if override is not None and not gates:
        raise click.UsageError("--override needs the name of a gate; tidegate explain lists them")
    return gates


def ask(  # noqa: PLR0913 - the parts of a call, and what becomes of its answer
    member: str,
    timeout_secs: float,
    signature: str = "",
    *arguments: object,
    reboots: bool = False,
    document: Callable[[str | TidegateError], Document] | None = None,
    allow_interactive: bool | None = None,
) -> None:
    """Call a method of the agent, print its answer, and exit with the matching code.

    ``reboots``: losing the bus connection during the call means that the host is going down. ``document`` turns the
    answer or the error into the JSON to be printed; the error is printed to standard error too. An interrupted call
    exits with 1, while the agent goes on with the request. ``allow_interactive`` is the value of its option.
    """
    import asyncio  # noqa: PLC0415 - asyncio and the bus take longer to import than all of `status`

    from tidegate.agent_api import client  # noqa: PLC0415
    from tidegate.cli import polkit_prompt  # noqa: PLC0415
    from tidegate.errors import ErrorKind, TidegateError  # noqa: PLC0415

    may_interact = polkit_prompt.wanted(allow_interactive)
    try:
        with polkit_prompt.prompting() if may_interact else nullcontext():
            call = client.ask_agent(member, timeout_secs, signature, *arguments, may_interact=may_interact)
            answer = asyncio.run(call)
    except TidegateError as err:
        if reboots and err.kind is ErrorKind.BUS_LOST:
            output.line("the host is going down")
            return
        if document is not None:
            output.document(document(err))
        exits.fail(err)
    except KeyboardInterrupt:
        exits.complain("interrupted; the agent goes on with the request", "tidegate status")
        raise SystemExit(exits.FAILED) from None
    output.line(answer) if document is None else output.document(document(answer))
