"""Commands that systemd, D-Bus and the agent start: the agent, the engine helper, the net-worker."""

from __future__ import annotations

import sys
from pathlib import Path

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
    help="Read snippets from DIR instead of the three default folders; may be repeated, later ones win.",
)
def agent(config_roots: tuple[Path, ...]) -> None:
    """Run the agent."""
    from tidegate.cli import agent_process  # noqa: PLC0415 - each process imports only its own modules

    agent_process.run(config_roots)


@click.command()
def engine_helper() -> None:
    """Serve the engine on D-Bus, and exit when idle."""
    import asyncio  # noqa: PLC0415

    from tidegate.clock import SystemClock  # noqa: PLC0415
    from tidegate.helper.main import main  # noqa: PLC0415
    from tidegate.journal.log import log_to_journal  # noqa: PLC0415

    log_to_journal(SystemClock())
    try:
        asyncio.run(main())
    except TidegateError as err:
        exits.end_process(err)


@click.command()
def net_worker() -> None:
    """Make one network request: JSON in on stdin, JSON events out on stdout."""
    from tidegate.net.worker import main  # noqa: PLC0415

    sys.exit(main())
