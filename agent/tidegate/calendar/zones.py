"""Load time zones by name, and find the changes of their clocks."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from tidegate.system import regular_file

LOCALTIME = "localtime"
LOCALTIME_FILE = Path("/etc/localtime")

MAX_ZONE_BYTES = 1024 * 1024
"""The largest file of the zone database (2025b) has 4 KiB."""

_PROBED_YEARS = range(1990, 2051)

# No clock changes twice within one step: the closest two changes in the zone database (2025b) are 3.98 days apart
# (Freetown, 1932), and nearly a week since 1970.
_SCAN_STEP = timedelta(days=3)
_ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Piece:
    """A time from ``start`` to ``end`` (UTC, half-open) in which the zone is ``offset`` ahead of UTC."""

    start: datetime
    end: datetime
    offset: timedelta


class UnknownZoneError(Exception):
    """A zone cannot be loaded; the text says why."""


def load_zone(name: str, localtime_file: Path = LOCALTIME_FILE) -> tzinfo:
    """Load the zone ``name``: UTC, an IANA name, or ``localtime`` for that of the host.

    There is no cache, so that each call sees a changed ``/etc/localtime`` or zone database.

    Raises:
        UnknownZoneError: there is no such zone, or its file cannot be used.
    """
    if name == "UTC":
        return UTC
    return _load_localtime(localtime_file) if name == LOCALTIME else _load_named(name)


def localtime_stamp(localtime_file: Path = LOCALTIME_FILE) -> tuple[object, ...]:
    """Return a value that differs once the host's zone was changed: what ``/etc/localtime`` is, and leads to."""
    try:
        seen = localtime_file.stat()
    except OSError as err:
        return (err.errno,)
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_size


def zone_names() -> set[str]:
    """Every name that :func:`load_zone` accepts, for suggestions. Reads the whole zone database."""
    from zoneinfo import available_timezones  # noqa: PLC0415 - only a mistake needs it

    return available_timezones() | {"UTC", LOCALTIME}


def pieces(zone: tzinfo, start: datetime) -> Iterator[Piece]:
    """The time from ``start`` on, endlessly, in pieces of constant offset; adjacent ones may have the same."""
    while True:
        offset = offset_at(zone, start)
        end = start + _SCAN_STEP
        if offset_at(zone, end) != offset:
            end = _change_between(zone, start, end)
        yield Piece(start, end, offset)
        start = end


def to_wall(zone: tzinfo, at: datetime) -> datetime:
    """The wall-clock time of the zone at ``at``, naive."""
    return at.astimezone(zone).replace(tzinfo=None)


def offset_at(zone: tzinfo, at: datetime) -> timedelta:
    """The offset of the zone from UTC at ``at``; positive to the east."""
    return at.astimezone(zone).utcoffset() or timedelta()


def _change_between(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The first second with another offset than at ``before``; bisects, given that the offset at ``after`` differs."""
    offset = offset_at(zone, before)
    while after - before > _ONE_SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0) if middle.replace(microsecond=0) > before else before + _ONE_SECOND
        before, after = (middle, after) if offset_at(zone, middle) == offset else (before, middle)
    return after.replace(microsecond=0)


class _WholeFile(io.BytesIO):
    """The content of a zone file. Reading past its end is an error.

    zoneinfo (3.11 to 3.14) looks for the newline at the end of the file without an eye on the end: for ever, where a
    copy has lost its last byte.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if size is not None and len(found) < size:
            raise ValueError("it is cut short")
        return found


def _load_named(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - a host on UTC never needs it

    file = _database_file(name)
    try:
        # Without a file it may still be in the package tzdata, which pip installs whole.
        return ZoneInfo.no_cache(name) if file is None else _from_file(file, name)
    except (ValueError, OSError, KeyError):  # KeyError: what ZoneInfoNotFoundError is
        raise UnknownZoneError(f"the zone database has no usable zone {name[:60]!r}") from None


def _database_file(name: str) -> Path | None:
    from zoneinfo import TZPATH  # noqa: PLC0415 - a host on UTC never needs it

    if {"", ".", ".."} & set(name.split("/")):
        return None
    files = (Path(root, name) for root in TZPATH)
    return next((file for file in files if os.path.isfile(file)), None)  # noqa: PTH113 - Path.is_file() raises for NUL


def _from_file(file: Path, name: str) -> tzinfo:
    """Load a zone from its file.

    Raises:
        OSError: the file is not regular, too large, or cannot be read.
        ValueError: its content is not a zone.
    """
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - a host on UTC never needs it

    content = regular_file.read(file, MAX_ZONE_BYTES)
    try:
        zone = ZoneInfo.from_file(_WholeFile(content), key=name)
        for year in _PROBED_YEARS:  # offsets of more than a day are an error on use only
            offset_at(zone, datetime(year, 1, 1, tzinfo=UTC))
            offset_at(zone, datetime(year, 7, 1, tzinfo=UTC))
    except OSError:
        raise
    except Exception as err:  # a damaged file fails anywhere: zoneinfo raises struct.error, AssertionError, IndexError
        raise ValueError(str(err) or "it is damaged") from err
    return zone


def _load_localtime(file: Path) -> tzinfo:
    try:
        return _from_file(file, LOCALTIME)
    except FileNotFoundError:
        if not file.is_symlink():
            return UTC  # localtime(5): no file means UTC
        raise UnknownZoneError(f"{file} is a link to {file.readlink()}, which does not exist") from None
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UnknownZoneError(f"{file} cannot be used as a zone: {why}") from None
