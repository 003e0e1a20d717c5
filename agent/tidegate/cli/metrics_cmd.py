"""``tidegate metrics``: what can be watched of the host, as text, as a file or at a socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tidegate.cli import exits
from tidegate.clock import SystemClock
from tidegate.system.atomicfile import write_visibly

_MODE = 0o644
"""node_exporter runs as a user of its own."""


@click.command()
@click.option(
    "--textfile",
    metavar="PATH",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them to this file for node_exporter, at once and readable for all; its name has to end in .prom.",
)
def metrics(textfile: Path | None) -> None:
    """Print the host's metrics as Prometheus takes them.

    Reads the agent's snapshot; needs neither bus nor agent, and says so where there is no agent (tidegate_agent_up).
    """
    text = _exposition()()
    if textfile is None:
        click.echo(text, nl=False)
        return
    if textfile.suffix != ".prom":
        raise click.BadParameter(f"{textfile.name}: node_exporter reads only *.prom", param_hint="--textfile")
    try:
        write_visibly(textfile.absolute(), text, _MODE)
    except OSError as err:
        exits.complain(f"{textfile}: {err.strerror}", "see that the folder exists and can be written to")
        raise SystemExit(exits.FAILED) from err


@click.command()
def metrics_server() -> None:
    """Answer readers of the metrics socket, and exit when idle."""
    from tidegate.metrics.serving import inherited, serve, turn_away  # noqa: PLC0415 - for this process only

    listener = inherited()
    if listener is None:
        exits.complain("no socket was handed over", "systemctl start tidegate-metrics.socket; it starts this")
        raise SystemExit(exits.USAGE)
    with listener:
        try:
            make = _exposition()
        except SystemExit:
            turn_away(listener)
            raise
        serve(listener, make, SystemClock())


def _exposition() -> Callable[[], bytes]:
    try:
        from tidegate.metrics.exposition import exposition  # noqa: PLC0415 - may be missing, and is slow to import
    except ModuleNotFoundError as err:
        exits.complain(f"metrics need {err.name}, which is not installed", 'pip install "tidegate[metrics]"')
        raise SystemExit(exits.FAILED) from err
    return exposition
