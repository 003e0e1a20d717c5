"""The processes: the agent, the engine helper, the net-worker."""

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
    help="Read snippets here; may be given more than once, later ones win. Replaces the three default folders.",
)
def agent(config_roots: tuple[Path, ...]) -> None:
    """Run the agent."""
    from tidegate.cli import agent_process  # noqa: PLC0415 - each process imports only what it is

    agent_process.run(config_roots)


@click.command()
def engine_helper() -> None:
    """Serve the engine to the agent, and exit when idle."""
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
