"""The command group ``tidegate``. A command's module is imported when that command runs, to keep start-up cheap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import click

from tidegate import __version__
from tidegate.cli.suggest import SuggestingGroup

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Mapping[str, tuple[str, str]] = {
    "status": ("tidegate.cli.status_cmd:status", "Show releases, the state of the agent and what it waits for."),
    "explain": ("tidegate.cli.explain_cmd:explain", "Show why the host has not rebooted, and what would change that."),
    "history": ("tidegate.cli.history_cmd:history", "Show past update attempts and their outcomes."),
    "check": ("tidegate.cli.check_cmd:check", "Check for a newer release now."),
    "stage": ("tidegate.cli.check_cmd:stage", "Download and prepare the next release now."),
    "apply": ("tidegate.cli.update_cmd:apply", "Reboot into the staged release now."),
    "rollback": ("tidegate.cli.update_cmd:rollback", "Reboot into the previous release, and deny the running one."),
    "resume": ("tidegate.cli.update_cmd:resume", "Let a paused host continue with the release that it runs."),
    "deny": ("tidegate.cli.update_cmd:deny", "Deny a release: it is not staged."),
    "allow": ("tidegate.cli.update_cmd:allow", "Lift the denial of a release."),
    "reload": ("tidegate.cli.update_cmd:reload", "Read the configuration again."),
    "windows": ("tidegate.cli.windows_cmd:windows", "Show when the periodic strategy allows reboots."),
    "config": ("tidegate.cli.config_cmd:config", "Check and show the configuration."),
    "lock": ("tidegate.cli.lock_cmd:lock", "Run other jobs under the fleet lock."),
    "coordinator": ("tidegate.cli.coordinator_cmd:coordinator", "Run the fleet lock server; list and free its slots."),
    "publish": ("tidegate.cli.publish_cmd:publish", "Publish releases: deltas, summary and update graph."),
    "trust": ("tidegate.cli.trust_cmd:trust", "Sign update graphs, for hosts that do not trust the web server."),
    "metrics": ("tidegate.cli.metrics_cmd:metrics", "Print the host's metrics for Prometheus."),
    "doctor": ("tidegate.cli.doctor_cmd:doctor", "Check what keeps this host from being updated."),
    "install": ("tidegate.cli.install_cmd:install", "Install units, policies and defaults of the wheel."),
    "uninstall": ("tidegate.cli.install_cmd:uninstall", "Remove what install has installed."),
    "agent": ("tidegate.cli.process_cmd:agent", "Run the agent (systemd starts this)."),
    "engine-helper": ("tidegate.cli.process_cmd:engine_helper", "Serve the update engine (D-Bus starts this)."),
    "net-worker": ("tidegate.cli.process_cmd:net_worker", "Make one network request (the agent starts this)."),
    "login-message": (
        "tidegate.cli.login_message_cmd:login_message",
        "Write the message for people who log in (systemd starts this).",
    ),
    "metrics-server": (
        "tidegate.cli.metrics_cmd:metrics_server",
        "Serve the metrics socket (systemd starts this).",
    ),
}
"""Each command: where it is defined, and its line in ``--help``."""

INTERNAL = frozenset({"agent", "engine-helper", "login-message", "metrics-server", "net-worker"})


class LazyGroup(SuggestingGroup):
    """A group that imports a command when it runs, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, the most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command ``cmd_name``; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return cast(click.Command, getattr(importlib.import_module(module), attribute))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands and options, without importing a command. Internal processes are not offered."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shell completion only

        names = [name for name in COMMANDS if name.startswith(incomplete) and name not in INTERNAL]
        found = [CompletionItem(name, help=COMMANDS[name][1]) for name in names]
        return found + super(click.Group, self).shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands and processes of ``--help``, without importing any of them."""
        shown = [(name, line) for name, (_, line) in COMMANDS.items() if name not in INTERNAL]
        with formatter.section("Commands"):
            formatter.write_dl(shown)
        with formatter.section("Processes"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in COMMANDS if name in INTERNAL])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tidegate")
def cli() -> None:
    """Update agent for whole hosts: stages the next OS release, and reboots when every rule allows it."""


def main() -> None:
    """Run the command line and exit; with 1 where the output cannot be written."""
    from tidegate.cli import output  # noqa: PLC0415 - shell completion needs none of the package

    output.guard_stdout()
    try:
        sys.exit(cli.main(prog_name="tidegate"))
    except output.UnwritableError as err:
        output.line(f"tidegate: standard output cannot be written: {err.strerror}", err=True)
        sys.exit(1)
