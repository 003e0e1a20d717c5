"""Parse the output of ``ostree admin status``. Pure.

Every version prints the text form (2022.7 in Debian 12, 2025.2 in Debian 13); JSON came with 2025.3. Three quirks of
the text: the markers ``(pending)`` and ``(rollback)`` appear only on a booted host; since 2023.8 ``(finalization
locked)`` replaces ``(staged)``; and a lock by the file alone is not shown.
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
_VERSION = re.compile(r"^\s*Version:\s*'?(?P<year>\d{4})\.(?P<number>\d+)", re.MULTILINE)
UNKNOWN_VERSION = (0, 0)
"""Older than all: what newer versions do is then not relied on."""

_LOCKED_MARK = "(finalization locked)"
_STAGED_MARK = "(staged)"
SHORT_CHECKSUM = 12


@dataclass(frozen=True, slots=True)
class Listed:
    """One deployment as ostree lists it. ``index`` counts from the boot loader's default, a staged one included.

    ``refspec`` is the origin (``remote:ref``), or None. ``locked`` is the mark in the listing, whatever the lock file.
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
        """The name of its folder, which distinguishes two deployments of one release."""
        return f"{self.checksum}.{self.serial}"


def parse_text(text: str) -> tuple[Listed, ...]:
    """Parse the text form; unknown lines are ignored, except where a deployment begins.

    Raises:
        TidegateError: ``engine.failed`` when the text has no deployment in a known form.
    """
    blocks = list(_blocks(text.splitlines()))
    if not blocks and "No deployments" not in text:
        raise _unparsable(text)
    return tuple(_from_block(index, block) for index, block in enumerate(blocks))


def parse_json(text: str) -> tuple[Listed, ...]:
    """Parse the JSON form (2025.3 and newer).

    Raises:
        TidegateError: ``engine.failed`` when it has another structure.
    """
    try:
        return tuple(_from_json(entry) for entry in json.loads(text)["deployments"])
    except (ValueError, KeyError, TypeError):
        raise _unparsable(text) from None


def parse_version(text: str) -> tuple[int, int]:
    """Parse the output of ``ostree --version``: year and number."""
    match = _VERSION.search(text)
    return (int(match["year"]), int(match["number"])) if match else UNKNOWN_VERSION


def parse_date(text: str) -> datetime:
    """Parse the date in the output of ``ostree show COMMIT``.

    Raises:
        TidegateError: ``engine.failed`` when there is none.
    """
    match = _DATE.search(text)
    if match is None:
        raise _unparsable(text)
    return datetime.strptime(match["date"], "%Y-%m-%d %H:%M:%S %z")


def parse_text_value(printed: str) -> str:
    """Remove the quotes of ``ostree show --print-metadata-key``: double ones where the text has a single one."""
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


def _unparsable(text: str) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_FAILED,
        f"the output of ostree cannot be parsed: {text[:200]!r}",
        "run `ostree admin status` by hand; this version of ostree may be too old or too new",
    )
