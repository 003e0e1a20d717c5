"""``tidegate coordinator``: run the fleet lock server, and operate one."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from tidegate.cli import exits, output
from tidegate.cli.config_cmd import json_option, tell_problems
from tidegate.cli.suggest import SuggestingGroup
from tidegate.system.installation import remedy_for_extra

if TYPE_CHECKING:
    from tidegate.coordinator.operator_client import Target
    from tidegate.jsonread import Node

WATCH_SECS = 2.0

F = TypeVar("F", bound=Callable[..., object])


def _roots_option(command: F) -> F:
    return click.option(
        "--config",
        "roots",
        multiple=True,
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Read snippets from DIR instead of the system's coordinator.d folders; may be repeated.",
    )(command)


def _target_options(command: F) -> F:
    path = click.Path(exists=True, dir_okay=False)
    options = (
        click.option(
            "--url",
            envvar="TIDEGATE_COORDINATOR_URL",
            metavar="URL",
            help="The coordinator: https://..., or unix:/path of its socket. [default: the one on this host]",
        ),
        click.option(
            "--token-file",
            envvar="TIDEGATE_COORDINATOR_TOKEN_FILE",
            type=path,
            help="A file with an operator's token, for https.",
        ),
        click.option("--ca-file", type=path, help="CA certificates to trust instead of the system's."),
        click.option("--client-cert", type=path, help="An operator's certificate."),
        click.option("--client-key", type=path, help="The key of the client certificate."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=SuggestingGroup)
def coordinator() -> None:
    """Run the fleet lock server (FleetLock), and list and free its slots."""


@coordinator.command()
@_roots_option
@click.option("--store", metavar="STORE", help="etcd://HOST:2379,... or sqlite:PATH, instead of coordinator.store.")
@click.option("--listen", metavar="ADDRESS", help="ADDRESS:PORT, instead of coordinator.listen.")
def serve(roots: tuple[Path, ...], store: str | None, listen: str | None) -> None:
    """Serve locks until SIGTERM; SIGHUP reloads groups, tokens and certificates."""
    try:
        from tidegate.coordinator.serve import Overrides, run  # noqa: PLC0415 - the extra may not be installed
    except ModuleNotFoundError as error:
        exits.complain(f"the coordinator needs {error.name}, which is not installed", remedy_for_extra("coordinator"))
        raise SystemExit(exits.FAILED) from None

    from tidegate.clock import SystemClock  # noqa: PLC0415
    from tidegate.errors import TidegateError  # noqa: PLC0415
    from tidegate.system.sd_notify import Notifier  # noqa: PLC0415

    try:
        run(roots, Overrides(store, listen), SystemClock(), Notifier())
    except TidegateError as error:
        exits.complain(error.message, error.remedy)
        raise SystemExit(exits.FAILED) from None


@coordinator.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@_roots_option
@json_option
def check(paths: tuple[Path, ...], roots: tuple[Path, ...], *, as_json: bool) -> None:
    """Check the coordinator's configuration and print all problems; exits with 1 if there are any.

    A PATH is a snippet or a folder of snippets. It is checked alone, or together with the folders given by --config.
    """
    from tidegate.config.loader import load_as  # noqa: PLC0415
    from tidegate.coordinator.settings import DEFAULT_ROOTS, SCHEMA  # noqa: PLC0415

    tell_problems(load_as(SCHEMA, roots or (() if paths else DEFAULT_ROOTS), paths), as_json=as_json)


@coordinator.command()
@click.argument("group", required=False)
@_target_options
@json_option
@click.option("--watch", is_flag=True, help=f"Show it again every {WATCH_SECS:g} s, until Ctrl-C.")
def status(group: str | None, *, as_json: bool, watch: bool, **given: str | None) -> None:
    """Show who holds the slots of GROUP, or of all groups, since when, and why other hosts wait."""
    target = _target(given)
    while True:
        document = _groups(target, group)
        if as_json:
            output.document(document.fields, None if watch else 1)
        else:
            (output.screen if watch else output.lines)(_status(document))
        if not watch:
            return
        try:
            time.sleep(WATCH_SECS)
        except KeyboardInterrupt:
            return


@coordinator.command()
@click.argument("holder", metavar="ID")
@click.option("--group", metavar="NAME", help="Only in this group. [default: all groups]")
@click.option(
    "--reason", required=True, metavar="TEXT", help="The reason; it is recorded in the history and the audit log."
)
@_target_options
@json_option
def release(holder: str, group: str | None, reason: str, *, as_json: bool, **given: str | None) -> None:
    """Free the slot of ID, a host that cannot release it itself.

    Make sure that the host is either down or healthy: another one may reboot immediately. Exits with 3 if ID holds no
    slot.
    """
    if not reason.strip():
        raise click.UsageError("--reason needs a text, for the next operator to read")
    form = {"id": holder, "group": group, "reason": reason.strip(), "operator": _operator()}
    freed = _ask(_target(given), "/admin/v1/release", form=form)
    if as_json:
        output.document(freed.fields)
        return
    for place in freed.children("freed"):
        output.line(f"freed the slot of {holder} in group {place.text('group')}")


@coordinator.command()
@click.option("--group", metavar="NAME", help="Only this group.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many entries, the newest."
)
@_target_options
@json_option
def history(group: str | None, limit: int, *, as_json: bool, **given: str | None) -> None:
    """Show grants and releases of slots, oldest first."""
    from tidegate.cli.coordinator_text import history_line  # noqa: PLC0415

    query = {"limit": str(limit)} | ({"group": group} if group else {})
    document = _ask(_target(given), "/admin/v1/history", query)
    if as_json:
        output.document(document.fields)
        return
    lines = [history_line(one) for one in document.children("history")]
    output.lines(reversed(lines) if lines else ["No entries yet."])


def _groups(target: Target, group: str | None) -> Node:
    return _ask(target, "/admin/v1/groups", {"group": group} if group else {})


def _status(document: Node) -> Iterator[str]:
    from tidegate.cli.coordinator_text import group_lines  # noqa: PLC0415
    from tidegate.clock import SystemClock  # noqa: PLC0415

    now = SystemClock().now().wall
    for group in document.children("groups"):
        yield from group_lines(group, now)


def _ask(
    target: Target, path: str, query: Mapping[str, str] | None = None, form: Mapping[str, object] | None = None
) -> Node:
    from tidegate.coordinator.operator_client import ask  # noqa: PLC0415
    from tidegate.errors import TidegateError  # noqa: PLC0415

    try:
        return ask(target, path, query, form)
    except TidegateError as error:
        exits.fail(error)


def _target(given: Mapping[str, str | None]) -> Target:
    from tidegate.coordinator.operator_client import Target, read_token  # noqa: PLC0415
    from tidegate.errors import TidegateError  # noqa: PLC0415

    certificate, its_key = given["client_cert"], given["client_key"]
    if (certificate is None) != (its_key is None):
        raise click.UsageError("--client-cert and --client-key go together")
    pair = (certificate, its_key) if certificate and its_key else None
    try:
        token = read_token(Path(given["token_file"])) if given["token_file"] else None
    except TidegateError as error:
        exits.fail(error)
    return Target(given["url"] or _own_socket(), token, given["ca_file"], pair)


def _own_socket() -> str:
    """The socket on which a coordinator on this host serves operators, from its configuration."""
    from tidegate.config.loader import load_as  # noqa: PLC0415
    from tidegate.coordinator.settings import DEFAULT_ROOTS, SCHEMA  # noqa: PLC0415
    from tidegate.coordinator.web.operator_socket import default_path  # noqa: PLC0415

    settings = load_as(SCHEMA, DEFAULT_ROOTS).settings
    return f"unix:{(settings and settings.coordinator.admin.socket) or default_path()}"


def _operator() -> str:
    """The name of the operator for the audit log: a claim, recorded beside the authenticated caller."""
    try:
        return f"{getpass.getuser()} on {socket.gethostname()}"
    except (OSError, KeyError):  # a user id without a name; KeyError before Python 3.13
        return f"somebody on {socket.gethostname()}"
