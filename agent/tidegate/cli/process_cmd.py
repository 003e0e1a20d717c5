"""The processes: the agent, the engine helper, the net-worker."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import NoReturn

import click

from tidegate.cli import exits
from tidegate.errors import TidegateError


@click.command()
@click.option(
    "--config-root",
    "config_roots",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Read snippets here; may be given more than once, later ones win. Replaces the three default folders.",
)
def agent(config_roots: tuple[Path, ...]) -> None:
    """Run the agent."""
    _without_tls()
    import asyncio  # noqa: PLC0415 - each process imports only what it is, and this one only now

    from tidegate.app import Paths, run_agent  # noqa: PLC0415
    from tidegate.clock import SystemClock  # noqa: PLC0415
    from tidegate.timers import SystemAlarm  # noqa: PLC0415

    _log_to_journal()
    paths = Paths(config_roots=config_roots) if config_roots else Paths()
    clock = SystemClock()
    try:
        asyncio.run(run_agent(paths, clock, SystemAlarm(clock)))
    except TidegateError as err:
        _end(err)


@click.command()
def engine_helper() -> None:
    """Serve the engine to the agent, and exit when idle."""
    import asyncio  # noqa: PLC0415

    from tidegate.engines.helper import main  # noqa: PLC0415

    _log_to_journal()
    try:
        asyncio.run(main())
    except TidegateError as err:
        _end(err)


@click.command()
def net_worker() -> None:
    """Make one network request: JSON in on stdin, JSON events out on stdout."""
    from tidegate.net.worker import main  # noqa: PLC0415

    sys.exit(main())


def _end(error: TidegateError) -> NoReturn:
    """Whatever it was, systemd is told the same: failed."""
    exits.complain(error.message, error.remedy)
    raise SystemExit(exits.FAILED) from error


def _without_tls() -> None:
    """Keep asyncio from loading OpenSSL: 5 of the 25 MiB that the resident agent may have, and it speaks no TLS.

    asyncio does without where the import fails (``asyncio.sslproto`` of Python 3.11 to 3.13), and hashlib, which the
    host's id is made with, takes Python's own SHA-256 where ``_hashlib`` cannot be imported.
    """
    for name in ("ssl", "_hashlib"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None is how an import is made to fail


def _log_to_journal() -> None:
    """The journal knows time, unit and pid; what repeats is told once."""
    from tidegate.chronicle import Chronicle, LogHandler  # noqa: PLC0415
    from tidegate.clock import SystemClock  # noqa: PLC0415
    from tidegate.journal import sink_of_process  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, handlers=[LogHandler(Chronicle(sink_of_process(), SystemClock()))])
