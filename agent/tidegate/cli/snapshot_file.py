"""Read the agent's snapshot, without the bus, privileges or costly imports."""

from __future__ import annotations

import json
from typing import NoReturn, cast

from tidegate.cli import exits
from tidegate.jsonread import Document
from tidegate.report.status_file import STATUS_FILE


def read(path: str = STATUS_FILE) -> Document:
    """The snapshot; without a readable one, print why and exit with 4."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib doubles the time that this command takes
            document = json.load(file)
    except FileNotFoundError:
        _give_up("the agent has not run since the host booted", "systemctl status tidegate.service")
    except (OSError, ValueError) as err:
        _give_up(f"{path}: {err}", "systemctl restart tidegate.service")
    if not isinstance(document, dict):
        _give_up(f"{path}: not a JSON object", "systemctl restart tidegate.service")
    return cast(Document, document)


def text(document: Document, key: str) -> str:
    """The string at ``key``; an empty one where it is missing or null."""
    value = document.get(key)
    return "" if value is None else str(value)


def _give_up(message: str, remedy: str) -> NoReturn:
    exits.complain(message, remedy)
    raise SystemExit(exits.UNREACHABLE)
