"""The process that puts up the message for people who log in, as root."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from tidegate.cli import exits
from tidegate.report.status_file import STATUS_FILE, read_snapshot

MESSAGE_FILE = "/run/motd.d/60-tidegate"
_MODE = 0o644


@click.command()
@click.option("--snapshot", default=STATUS_FILE, metavar="FILE", help="The agent's snapshot.")
@click.option("--message", default=MESSAGE_FILE, metavar="FILE", help="The file to write.")
def login_message(snapshot: str, message: str) -> None:
    """Write the message for people who log in from the agent's snapshot.

    The agent's user may put anything into its folder, and logins show what is in the message. So root makes it, from
    fields of the snapshot that are text.
    """
    try:
        _write(Path(message), _message(snapshot))
    except OSError as err:
        exits.complain(f"{message}: {err.strerror}")
        raise SystemExit(exits.FAILED) from err


def _message(snapshot: str) -> str:
    """The message; empty without a snapshot that can be read."""
    from tidegate.report.motd import notices  # noqa: PLC0415 - for this process only

    try:
        return notices(read_snapshot(snapshot)).motd
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as err:
        exits.complain(f"{snapshot}: {err}", "systemctl restart tidegate.service")
        return ""


def _write(file: Path, content: str) -> None:
    from tidegate.system.atomicfile import write_visibly  # noqa: PLC0415 - for this process only

    if content:
        file.parent.mkdir(mode=0o755, exist_ok=True)
        write_visibly(file, content.encode(), _MODE)
    else:
        with suppress(FileNotFoundError):
            file.unlink()
