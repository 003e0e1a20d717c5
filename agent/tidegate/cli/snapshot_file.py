"""Read the agent's snapshot, without the bus, privileges or costly imports."""

from __future__ import annotations

import os
from typing import NoReturn

from tidegate.cli import exits
from tidegate.jsonread import Document
from tidegate.report.status_file import STATUS_FILE, read_snapshot


def read(path: str = STATUS_FILE) -> Document:
    """The snapshot; without a readable one, print why and exit with 4."""
    try:
        return read_snapshot(path)
    except FileNotFoundError:
        _give_up(*_why_missing(path))
    except OSError as err:
        _give_up(f"{path}: {err.strerror}", f"rm -r {path} && systemctl restart tidegate.service")
    except ValueError as err:
        _give_up(f"{path}: {err}", "systemctl restart tidegate.service")


def text(document: Document, key: str) -> str:
    """The string at ``key``; an empty one where it is missing or null."""
    value = document.get(key)
    return "" if value is None else str(value)


def _why_missing(path: str) -> tuple[str, str]:
    """The message and the remedy for a snapshot that does not exist."""
    folder = os.path.dirname(path)  # noqa: PTH120 - pathlib doubles the time that this command takes
    if os.path.isdir(folder):  # noqa: PTH112 - as above
        return "the agent has not run since the host booted", "systemctl status tidegate.service"
    return f"{folder}, where the agent puts its state, is missing", "systemctl restart tidegate.service"


def _give_up(message: str, remedy: str) -> NoReturn:
    exits.complain(message, remedy)
    raise SystemExit(exits.UNREACHABLE)
