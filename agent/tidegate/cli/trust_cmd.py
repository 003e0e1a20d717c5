"""``tidegate trust``: sign update graphs (TUF), so that hosts need not trust the web server that serves them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from tidegate.cli import exits, output
from tidegate.cli.suggest import SuggestingGroup
from tidegate.system.installation import remedy_for_extra

if TYPE_CHECKING:
    from tidegate.trust.repository import Repository

MAX_DAYS = 3660
"""Ten years: a longer lifetime is a typing error."""

SOON = timedelta(days=30)
"""When to warn of an expiring root or targets signature: time for a person to fetch the offline keys."""

F = TypeVar("F", bound=Callable[..., object])


def _places(command: F) -> F:
    folder = click.Path(path_type=Path, file_okay=False)
    options = (
        click.option("--keys", required=True, metavar="DIR", type=folder, help="The folder of the keys and root.json."),
        click.option(
            "--repository", required=True, metavar="DIR", type=folder, help="The folder that the web server serves."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _days(role: str, default: int) -> Callable[[F], F]:
    return click.option(
        f"--{role}-days",
        default=default,
        show_default=True,
        metavar="N",
        type=click.IntRange(1, MAX_DAYS),
        help=f"The lifetime of the {role} signature in days.",
    )


_root_days, _targets_days, _online_days = _days("root", 365), _days("targets", 365), _days("online", 7)


@click.group(cls=SuggestingGroup)
def trust() -> None:
    """Sign update graphs, so that hosts need not trust the web server."""


@trust.command()
@_places
@_root_days
@_targets_days
@_online_days
def init(keys: Path, repository: Path, **days: int) -> None:
    """Make keys, and a repository without any signed graph."""
    with _opened(keys, repository, days) as (one, _):
        anchor = one.init()
        output.line(f"root of trust: {anchor}")
        output.line(
            "  on each host: copy it to /etc/tidegate/root.json, and set discovery.static_graph.trust to that path"
        )
        output.line(f"  keep {keys}/root-*.pem offline; only `tidegate trust rotate` needs it")


@trust.command()
@click.argument("graphs", nargs=-1, required=True, metavar="GRAPH...", type=click.Path(path_type=Path, exists=True))
@_places
@click.option("--anew", is_flag=True, help="Remove all other graphs from the signed set.")
@_targets_days
@_online_days
def sign(graphs: tuple[Path, ...], keys: Path, repository: Path, *, anew: bool, **days: int) -> None:
    """Sign update graphs, which are files in the repository."""
    with _opened(keys, repository, days) as (one, wall):
        for name in one.sign(graphs, anew=anew):
            output.line(f"signed: {name}")
        _warn(one, wall)


@trust.command()
@_places
@_online_days
def refresh(keys: Path, repository: Path, **days: int) -> None:
    """Renew the short-lived online signatures; for a timer. Needs only the online key and root.json."""
    with _opened(keys, repository, days) as (one, wall):
        from tidegate.clock import rfc3339  # noqa: PLC0415 - not for `--help`

        output.line(f"valid until {rfc3339(one.refresh())}")
        _warn(one, wall)


@trust.command()
@click.argument("roles", nargs=-1, metavar="[root|targets|online]...", type=click.Choice(("root", "targets", "online")))
@_places
@_root_days
@_targets_days
@_online_days
def rotate(roles: tuple[str, ...], keys: Path, repository: Path, **days: int) -> None:
    """Make a new root with new keys for these roles; without roles, with the same keys and a new expiry."""
    with _opened(keys, repository, days) as (one, _):
        from tidegate.trust.keys import KeyRole  # noqa: PLC0415 - the extra may not be installed

        output.line(f"root {one.rotate(frozenset(map(KeyRole, roles)))} is published; hosts adopt it automatically")


@contextmanager
def _opened(keys: Path, repository: Path, days: dict[str, int]) -> Generator[tuple[Repository, datetime]]:
    """Open the repository; gives it and the time. Its errors are printed, and end the command."""
    try:
        from tidegate.trust.repository import Lifetimes, Repository  # noqa: PLC0415 - the extra may not be installed
    except ModuleNotFoundError as error:
        exits.complain(f"signing needs {error.name}, which is not installed", remedy_for_extra("trust"))
        raise SystemExit(exits.FAILED) from None

    from tidegate.clock import SystemClock  # noqa: PLC0415
    from tidegate.errors import TidegateError  # noqa: PLC0415

    wall = SystemClock().now().wall
    try:
        yield Repository(keys, repository, wall, Lifetimes(**days)), wall
    except TidegateError as error:
        exits.fail(error)


def _warn(repository: Repository, wall: datetime) -> None:
    remedies = {"root": "tidegate trust rotate", "targets": "tidegate trust sign GRAPH..."}
    for role, until in repository.ending().items():
        if until - wall < SOON:
            exits.complain(f"the {role} signature expires on {until:%Y-%m-%d}", f"before then: {remedies[role]}")
