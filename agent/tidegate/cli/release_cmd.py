"""``tidegate rollback``, ``resume``, ``allow``, ``deny`` and ``reload``: what a person decides about releases."""

from __future__ import annotations

import click

from tidegate.cli.asking import ANSWER_SECS, REBOOT_SECS, ask, checked_reason, gates_in, reason_option


@click.command()
@click.option("--override", metavar="GATE[,GATE]", help="Pass these gates over, this once; see tidegate explain.")
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
    """Lift the denial of a release, whoever denied it.

    VERSION is a version or a payload of which tidegate status says that it is denied.
    """
    ask("Allow", ANSWER_SECS, "ss", release, checked_reason(reason))


@click.command()
def reload() -> None:
    """Read the configuration again.

    Exits with 3 where it is bad; the last good one stays in force then.
    """
    ask("Reload", ANSWER_SECS)
