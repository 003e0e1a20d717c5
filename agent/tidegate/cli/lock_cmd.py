"""``tidegate lock``: the fleet's lock for other jobs than updates. Works against any FleetLock server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import click

from tidegate.cli import exits
from tidegate.cli.durations import duration
from tidegate.cli.update_cmd import forget_lock

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tidegate.fleetlock.account import LockAccount

REQUEST_SECS = 30.0

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


def account_options(command: F) -> F:
    """Which lock at which server."""
    path = click.Path(exists=True, dir_okay=False, resolve_path=True)
    options = (
        click.option("--id", "client_id", required=True, metavar="ID", help="Who holds it; each job its own."),
        click.option("--group", metavar="NAME", help="Whose slots; the agent's group unless given."),
        click.option(
            "--url",
            envvar="TIDEGATE_LOCK_URL",
            metavar="URL",
            help="The FleetLock server; the agent's (updates.fleet_lock) unless given.",
        ),
        click.option("--ca-file", type=path, help="Authorities to trust in place of the system's."),
        click.option("--client-cert", type=path, help="A client certificate."),
        click.option("--client-key", type=path, help="Its key."),
        click.option("--token-file", type=path, help="A token for the server."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def lock() -> None:
    """Run other jobs than updates under the fleet's lock."""


@lock.command(context_settings={"ignore_unknown_options": True})
@account_options
@click.option(
    "--wait",
    "wait_secs",
    type=duration,
    metavar="DURATION",
    help="Give up after so long (90s, 5min, 1h30m; 0 asks once). Without it, wait for as long as it takes.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def run(command: tuple[str, ...], wait_secs: float | None, **given: str | None) -> None:
    """Take a slot, run COMMAND, and give the slot back, whatever happens to COMMAND.

    Exits as COMMAND does; with 3 where no slot was granted within --wait, and with 1 where the server turned the
    request down. Signals are passed on to COMMAND.
    """
    from tidegate.cli.lock_run import Job, run_locked  # noqa: PLC0415 - `--help` needs no asyncio
    from tidegate.clock import SystemClock  # noqa: PLC0415
    from tidegate.fleetlock.client import NetLock  # noqa: PLC0415
    from tidegate.net.client import NetClient  # noqa: PLC0415

    job = Job(_account(given), command, wait_secs)
    raise SystemExit(_asyncio_run(run_locked(NetLock(NetClient()), job, SystemClock())))


@lock.command()
@account_options
def release(**given: str | None) -> None:
    """Give back a slot by hand, as its holder would: after a crash of the host that held it, for one."""
    from tidegate.errors import TidegateError  # noqa: PLC0415
    from tidegate.fleetlock.client import NetLock  # noqa: PLC0415
    from tidegate.net.client import NetClient  # noqa: PLC0415

    whose = _account(given)
    try:
        released = _asyncio_run(NetLock(NetClient()).release(whose, None))
    except TidegateError as error:
        exits.fail(error)
    click.echo(f"given back: {whose.place}{f' ({released.detail})' if released.detail else ''}")


lock.add_command(forget_lock, "forget")


def _asyncio_run(work: Coroutine[object, object, T]) -> T:
    import asyncio  # noqa: PLC0415

    return asyncio.run(work)


def _account(given: Mapping[str, str | None]) -> LockAccount:
    """Which lock at which server: what is given, else what the agent uses."""
    from tidegate.fleetlock.account import LockAccount  # noqa: PLC0415

    client_id, group, url = str(given["client_id"]), given["group"], given["url"]
    if url is None:
        return _as_the_agent(client_id, group)
    files = (given[name] for name in ("ca_file", "client_cert", "client_key", "token_file"))
    return LockAccount(url, group or "default", client_id, REQUEST_SECS, *files)


def _as_the_agent(client_id: str, group: str | None) -> LockAccount:
    from tidegate.cli.config_cmd import load_roots, settings_or_exit  # noqa: PLC0415
    from tidegate.errors import TidegateError  # noqa: PLC0415
    from tidegate.fleetlock.settings import FleetLockSettings, lock_account  # noqa: PLC0415
    from tidegate.identity import identify  # noqa: PLC0415

    settings = settings_or_exit(load_roots(()))
    if not settings.of(FleetLockSettings).base_url:
        raise click.UsageError("there is no server: give --url URL, or set updates.fleet_lock.base_url")
    identity = identify(settings.identity)
    try:
        return lock_account(settings, identity.variables, client_id, group or identity.group)
    except TidegateError as error:
        exits.fail(error)
