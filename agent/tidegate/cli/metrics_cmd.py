"""``tidegate metrics``: the host's metrics for Prometheus, on standard output, in a file or on a socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tidegate.cli import exits
from tidegate.clock import SystemClock
from tidegate.system.atomicfile import write_visibly
from tidegate.system.installation import remedy_for_extra

_MODE = 0o644
"""Readable for node_exporter, which runs as another user."""


@click.command()
@click.option(
    "--textfile",
    metavar="PATH",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the metrics to this file for node_exporter, atomically; its name has to end in .prom.",
)
def metrics(textfile: Path | None) -> None:
    """Print the host's metrics in Prometheus' text format.

    They come from the agent's snapshot, without the bus. tidegate_agent_up is 0 if the agent is not running.
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
        exits.complain(f"{textfile}: {err.strerror}", "make sure that the folder exists and is writable")
        raise SystemExit(exits.FAILED) from err


@click.command()
def metrics_server() -> None:
    """Serve the metrics socket, and exit when idle."""
    from tidegate.metrics.serving import drop_clients, inherited, serve  # noqa: PLC0415 - for this process only

    listener = inherited()
    if listener is None:
        exits.complain(
            "systemd has passed no socket", "systemctl start tidegate-metrics.socket, which starts this process"
        )
        raise SystemExit(exits.USAGE)
    with listener:
        try:
            make = _exposition()
        except SystemExit:
            drop_clients(listener)
            raise
        serve(listener, make, SystemClock())


def _exposition() -> Callable[[], bytes]:
    try:
        from tidegate.metrics.exposition import exposition  # noqa: PLC0415 - may be missing, and is slow to import
    except ModuleNotFoundError as err:
        exits.complain(f"metrics need {err.name}, which is not installed", remedy_for_extra("metrics"))
        raise SystemExit(exits.FAILED) from err
    return exposition
