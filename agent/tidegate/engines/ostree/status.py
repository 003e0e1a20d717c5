"""What ``ostree admin status`` says, as data. Pure.

The text form is the one that every version has (2022.7 in Debian 12, 2025.2 in Debian 13); JSON came with 2025.3.
Three quirks of the text: the markers ``(pending)`` and ``(rollback)`` show only on a booted host; since 2023.8
``(finalization locked)`` stands in place of ``(staged)``; and a lock made by the file alone shows nowhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from tidegate.errors import ErrorKind, TidegateError

_HEAD = re.compile(
    r"^(?P<booted>[* ]) (?P<stateroot>\S+) (?P<checksum>[0-9a-f]{64})\.(?P<serial>\d+)(?P<marks>( \([^)]*\))*)$"
)
_DETAIL = re.compile(r"^    (?P<key>[A-Za-z][^:]*): (?P<value>.*)$")
_DATE = re.compile(r"^Date:\s+(?P<date>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})$", re.MULTILINE)
_LOCKED_MARK = "(finalization locked)"
_STAGED_MARK = "(staged)"
SHORT_CHECKSUM = 12


@dataclass(frozen=True, slots=True)
class Listed:
    """One deployment as ostree lists it. ``index`` counts from the boot loader's default, a staged one included.

    ``refspec`` is the origin (``remote:ref``), None when ostree knows none. ``locked`` is the mark in the listing;
    the lock file is not looked at.
    """

    index: int
    stateroot: str
    checksum: str
    serial: int
    version: str
    refspec: str | None
    booted: bool
    staged: bool
    locked: bool
    pinned: bool

    @property
    def deployment_name(self) -> str:
        """The name of its folder, and what tells two deployments of one release apart."""
        return f"{self.checksum}.{self.serial}"


def parse_text(text: str) -> tuple[Listed, ...]:
    """Read the text form; lines that are not understood are passed over, except where a deployment begins.

    Raises:
        TidegateError: ``engine.failed`` when the text holds no deployment in a shape that is known.
    """
    blocks = list(_blocks(text.splitlines()))
    if not blocks and "No deployments" not in text:
        raise _nonsense(text)
    return tuple(_from_block(index, block) for index, block in enumerate(blocks))


def parse_json(text: str) -> tuple[Listed, ...]:
    """Read the JSON form (2025.3 and newer).

    Raises:
        TidegateError: ``engine.failed`` when it is not what that version prints.
    """
    try:
        return tuple(_from_json(entry) for entry in json.loads(text)["deployments"])
    except (ValueError, KeyError, TypeError):
        raise _nonsense(text) from None


def parse_date(text: str) -> datetime:
    """The date in what ``ostree show COMMIT`` prints.

    Raises:
        TidegateError: ``engine.failed`` when there is none.
    """
    match = _DATE.search(text)
    if match is None:
        raise _nonsense(text)
    return datetime.strptime(match["date"], "%Y-%m-%d %H:%M:%S %z")


def parse_text_value(printed: str) -> str:
    """A text as ``ostree show --print-metadata-key`` prints it: in quotes, double ones where it has a single one."""
    text = printed.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _blocks(lines: Iterable[str]) -> Iterable[tuple[re.Match[str], dict[str, str]]]:
    current: tuple[re.Match[str], dict[str, str]] | None = None
    for line in lines:
        if head := _HEAD.match(line):
            if current:
                yield current
            current = (head, {})
        elif current and (detail := _DETAIL.match(line)):
            current[1][detail["key"].strip().lower()] = detail["value"].strip()
    if current:
        yield current


def _from_block(index: int, block: tuple[re.Match[str], dict[str, str]]) -> Listed:
    head, details = block
    locked = _LOCKED_MARK in head["marks"]
    return Listed(
        index=index,
        stateroot=head["stateroot"],
        checksum=head["checksum"],
        serial=int(head["serial"]),
        version=details.get("version") or head["checksum"][:SHORT_CHECKSUM],
        refspec=details.get("origin refspec"),
        booted=head["booted"] == "*",
        staged=locked or _STAGED_MARK in head["marks"],
        locked=locked,
        pinned=details.get("pinned") == "yes",
    )


def _from_json(entry: Any) -> Listed:
    fields = cast("dict[str, Any]", entry)
    return Listed(
        index=int(fields["index"]),
        stateroot=str(fields["stateroot"]),
        checksum=str(fields["checksum"]),
        serial=int(fields["serial"]),
        version=str(fields.get("version") or str(fields["checksum"])[:SHORT_CHECKSUM]),
        refspec=fields.get("refspec"),
        booted=fields["booted"] is True,
        staged=fields["staged"] is True,
        locked=fields.get("finalization-locked") is True,
        pinned=fields.get("pinned") is True,
    )


def _nonsense(text: str) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_FAILED,
        f"ostree printed nothing that is understood: {text[:200]!r}",
        "run `ostree admin status` by hand; this version of ostree may be too old or too new",
    )
