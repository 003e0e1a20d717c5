"""The console script. Each command's module is imported when that command runs, so that asking stays cheap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import cast

import click

from tidegate import __version__

COMMANDS: Mapping[str, tuple[str, str]] = {
    "status": ("tidegate.cli.status_cmd:status", "What the host runs, what is staged, and what it waits for."),
    "explain": ("tidegate.cli.explain_cmd:explain", "Why the host has not rebooted, and what would lift it."),
    "history": ("tidegate.cli.history_cmd:history", "The attempts so far and what came of them."),
    "check": ("tidegate.cli.act_cmd:check", "Look for a newer release now."),
    "stage": ("tidegate.cli.act_cmd:stage", "Download and prepare the next release now."),
    "apply": ("tidegate.cli.act_cmd:apply", "Reboot into the staged release."),
    "windows": ("tidegate.cli.windows_cmd:windows", "When the periodic strategy lets the host reboot."),
    "config": ("tidegate.cli.config_cmd:config", "Check and explain the configuration."),
    "lock": ("tidegate.cli.lock_cmd:lock", "Run another job under the fleet's lock."),
    "coordinator": ("tidegate.cli.coordinator_cmd:coordinator", "Serve the fleet's lock; see and free its slots."),
    "install": ("tidegate.cli.install_cmd:install", "Put units, policies and defaults in place."),
    "agent": ("tidegate.cli.process_cmd:agent", "Run the agent (systemd starts this)."),
    "engine-helper": ("tidegate.cli.process_cmd:engine_helper", "Serve the engine (D-Bus starts this)."),
    "net-worker": ("tidegate.cli.process_cmd:net_worker", "Make one network request (the agent starts this)."),
}
"""Each command, where it is defined, and its line in ``--help``."""

INTERNAL = frozenset({"agent", "engine-helper", "net-worker"})


class LazyGroup(click.Group):
    """Imports a command when it is used, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command ``cmd_name``, imported."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return cast(click.Command, getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Their lines in ``--help``, without importing any of them."""
        shown = [(name, line) for name, (_, line) in COMMANDS.items() if name not in INTERNAL]
        with formatter.section("Commands"):
            formatter.write_dl(shown)
        with formatter.section("Processes"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in COMMANDS if name in INTERNAL])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tidegate")
def cli() -> None:
    """Keep this host on a release of its OS that works, and say why it has or has not moved on."""


def main() -> None:
    """Run the command that was asked for."""
    sys.exit(cli.main(prog_name="tidegate"))
