"""``tidegate lock``: use the fleet lock for other jobs than updates. Works with any FleetLock server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import click

from tidegate.cli import exits, output
from tidegate.cli.durations import duration
from tidegate.cli.suggest import SuggestingGroup
from tidegate.cli.update_cmd import forget_lock

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tidegate.fleetlock.account import LockAccount

REQUEST_SECS = 30.0

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


def account_options(command: F) -> F:
    """The options that select a lock server, a group and an id; without ``--url``, the agent's server."""
    path = click.Path(exists=True, dir_okay=False, resolve_path=True)
    options = (
        click.option(
            "--id", "client_id", required=True, metavar="ID", help="The id of the holder; each job needs its own."
        ),
        click.option("--group", metavar="NAME", help="The group of the slot. [default: the agent's]"),
        click.option(
            "--url",
            envvar="TIDEGATE_LOCK_URL",
            metavar="URL",
            help="The FleetLock server. [default: the agent's, updates.fleet_lock]",
        ),
        click.option("--ca-file", type=path, help="CA certificates to trust instead of the system's."),
        click.option("--client-cert", type=path, help="A client certificate."),
        click.option("--client-key", type=path, help="The key of the client certificate."),
        click.option("--token-file", type=path, help="A file with a token for the server."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=SuggestingGroup)
def lock() -> None:
    """Run other jobs than updates under the fleet lock."""


@lock.command(context_settings={"ignore_unknown_options": True})
@account_options
@click.option(
    "--wait",
    "wait_secs",
    type=duration,
    metavar="DURATION",
    help="Give up after DURATION (90s, 5min, 1h30m; 0 asks once). [default: wait without limit]",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def run(command: tuple[str, ...], wait_secs: float | None, **given: str | None) -> None:
    """Take a slot, run COMMAND, and release the slot, whether COMMAND succeeds or not.

    The exit status is that of COMMAND; 3 if no slot was granted within --wait, 1 if the server rejected the request,
    and 125 if the slot may still be held at the end. Signals are forwarded to COMMAND.
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
    """Release a slot as its holder would, for example after a crash of the host that held it."""
    from tidegate.errors import TidegateError  # noqa: PLC0415
    from tidegate.fleetlock.client import NetLock  # noqa: PLC0415
    from tidegate.net.client import NetClient  # noqa: PLC0415

    account = _account(given)
    try:
        released = _asyncio_run(NetLock(NetClient()).release(account, None))
    except TidegateError as error:
        exits.fail(error)
    output.line(f"released: {account.place}{f' ({released.detail})' if released.detail else ''}")


lock.add_command(forget_lock, "forget")


def _asyncio_run(work: Coroutine[object, object, T]) -> T:
    import asyncio  # noqa: PLC0415

    return asyncio.run(work)


def _account(given: Mapping[str, str | None]) -> LockAccount:
    """The lock that the options describe; without ``--url``, the agent's server and credentials."""
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
        raise click.UsageError("no lock server is configured: use --url URL, or set updates.fleet_lock.base_url")
    identity = identify(settings.identity)
    try:
        return lock_account(settings, identity.variables, client_id, group or identity.group)
    except TidegateError as error:
        exits.fail(error)
