"""The console script. Each command's module is imported when that command runs, so that asking stays cheap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import click

from tidegate import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Mapping[str, tuple[str, str]] = {
    "status": ("tidegate.cli.status_cmd:status", "What the host runs, what is staged, and what it waits for."),
    "explain": ("tidegate.cli.explain_cmd:explain", "Why the host has not rebooted, and what would lift it."),
    "history": ("tidegate.cli.history_cmd:history", "The attempts so far and what came of them."),
    "check": ("tidegate.cli.check_cmd:check", "Look for a newer release now."),
    "stage": ("tidegate.cli.check_cmd:stage", "Download and prepare the next release now."),
    "apply": ("tidegate.cli.update_cmd:apply", "Reboot into the staged release."),
    "rollback": ("tidegate.cli.update_cmd:rollback", "Reboot into the release before the running one, and deny that."),
    "resume": ("tidegate.cli.update_cmd:resume", "Let a paused host go on with the release that it runs."),
    "deny": ("tidegate.cli.update_cmd:deny", "Do not let a release be staged."),
    "allow": ("tidegate.cli.update_cmd:allow", "Lift the denial of a release."),
    "reload": ("tidegate.cli.update_cmd:reload", "Read the configuration again."),
    "windows": ("tidegate.cli.windows_cmd:windows", "When the periodic strategy lets the host reboot."),
    "config": ("tidegate.cli.config_cmd:config", "Check and explain the configuration."),
    "lock": ("tidegate.cli.lock_cmd:lock", "Run another job under the fleet's lock."),
    "coordinator": ("tidegate.cli.coordinator_cmd:coordinator", "Serve the fleet's lock; see and free its slots."),
    "publish": ("tidegate.cli.publish_cmd:publish", "Publish releases: deltas, summary and update graph."),
    "trust": ("tidegate.cli.trust_cmd:trust", "Sign update graphs for hosts that do not trust the web server."),
    "metrics": ("tidegate.cli.metrics_cmd:metrics", "Print what can be watched of the host, for Prometheus."),
    "doctor": ("tidegate.cli.doctor_cmd:doctor", "What keeps this host from being updated, and what to do."),
    "install": ("tidegate.cli.install_cmd:install", "Put units, policies and defaults in place."),
    "agent": ("tidegate.cli.process_cmd:agent", "Run the agent (systemd starts this)."),
    "engine-helper": ("tidegate.cli.process_cmd:engine_helper", "Serve the engine (D-Bus starts this)."),
    "net-worker": ("tidegate.cli.process_cmd:net_worker", "Make one network request (the agent starts this)."),
    "metrics-server": (
        "tidegate.cli.metrics_cmd:metrics_server",
        "Answer at the metrics socket (systemd starts this).",
    ),
}
"""Each command, where it is defined, and its line in ``--help``."""

INTERNAL = frozenset({"agent", "engine-helper", "metrics-server", "net-worker"})


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

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and options that begin so; no command is imported, and processes are not for people."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only shells ask for it

        names = [name for name in COMMANDS if name.startswith(incomplete) and name not in INTERNAL]
        found = [CompletionItem(name, help=COMMANDS[name][1]) for name in names]
        return found + super(click.Group, self).shell_complete(ctx, incomplete)

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
