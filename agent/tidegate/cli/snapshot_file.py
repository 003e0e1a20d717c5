"""Reading the agent's snapshot: no bus, no privilege, and little to import."""

from __future__ import annotations

import json
from typing import NoReturn, cast

from tidegate.cli import exits
from tidegate.jsonread import Document, table

STATUS_FILE = "/run/tidegate/public/status.json"


def read(path: str = STATUS_FILE) -> Document:
    """The snapshot; tells the operator and exits where there is none."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib doubles the time that this command takes
            document = json.load(file)
    except FileNotFoundError:
        _give_up("the agent has not run since the host booted", "systemctl status tidegate.service")
    except (OSError, ValueError) as err:
        _give_up(f"{path}: {err}", "systemctl restart tidegate.service")
    if not isinstance(document, dict):
        _give_up(f"{path}: no JSON object", "systemctl restart tidegate.service")
    return cast(Document, document)


def is_live(document: Document) -> bool:
    """Whether the process that wrote the snapshot still runs (the same one: a pid alone is given out again)."""
    writer = table(document, "writer")
    try:
        with open(f"/proc/{writer.get('pid')}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            started = file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return False
    return started == str(writer.get("start_ticks"))


def text(document: Document, key: str) -> str:
    """The string at ``key``; an empty one where it is missing or null."""
    value = document.get(key)
    return "" if value is None else str(value)


def _give_up(message: str, remedy: str) -> NoReturn:
    exits.complain(message, remedy)
    raise SystemExit(exits.UNREACHABLE)
