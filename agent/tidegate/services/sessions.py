"""Who is logged in, as systemd-logind tells it: sessions and what their properties mean.

The properties are those of org.freedesktop.login1(5), the same from systemd 245 to 257. What is missing, or of another
type than it should be, is read as the answer that holds a reboot: a session of a person who is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

SESSION_INTERFACE = "org.freedesktop.login1.Session"

GONE = frozenset({"org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.login1.NoSuchSession"})
"""What is answered about a session that ended after it was listed."""

_GRAPHICAL = frozenset({"x11", "wayland", "mir"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """A session. ``kind`` is logind's Type (tty, x11, wayland, unspecified), ``category`` its Class (user, greeter,
    manager, ...), ``state`` online, active or closing.

    ``last_input`` is the instant since which nobody has typed or moved anything, where logind knows it; a graphical
    session says so itself once it is idle, of a terminal it is known at any time. ``began_boot_secs`` is when it was
    opened on the boot clock, at the earliest: logind counts on the monotonic clock, which stands still in suspend.
    """

    id: str
    user: str
    uid: int
    kind: str
    category: str
    state: str
    tty: str
    remote_host: str
    since: datetime | None
    began_boot_secs: float
    last_input: datetime | None

    @property
    def is_graphical(self) -> bool:
        """Whether somebody sits, or could sit, in front of a desktop."""
        return self.kind in _GRAPHICAL


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of ListSessions: what is known of a session before its properties are read."""

    id: str
    uid: int
    user: str
    path: str


def session_of(row: Listed, properties: Mapping[str, object]) -> Session:
    """The session that was listed as ``row`` and has these properties."""
    kind = _property(properties, "Type", "unspecified")
    return Session(
        id=row.id,
        user=row.user or _property(properties, "Name", ""),
        uid=row.uid,
        kind=kind,
        category=_property(properties, "Class", "user"),
        state=_property(properties, "State", "active"),
        tty=_property(properties, "TTY", "").removeprefix("/dev/"),
        remote_host=_property(properties, "RemoteHost", ""),
        since=_instant(_property(properties, "Timestamp", 0)),
        began_boot_secs=_property(properties, "TimestampMonotonic", 0) / 1e6,
        last_input=_last_input(kind, properties),
    )


def _last_input(kind: str, properties: Mapping[str, object]) -> datetime | None:
    """IdleHint of a terminal is true only after logind's own half hour, IdleSinceHint is its last input at any time."""
    if kind in _GRAPHICAL and not _property(properties, "IdleHint", False):  # noqa: FBT003 - the default
        return None
    return _instant(_property(properties, "IdleSinceHint", 0))


def _property(properties: Mapping[str, object], name: str, default: T) -> T:
    value = properties.get(name)
    return value if isinstance(value, type(default)) else default


def _instant(usec: int) -> datetime | None:
    """Microseconds since 1970; 0 is never, and so is what no calendar has."""
    try:
        return _EPOCH + timedelta(microseconds=usec) if usec > 0 else None
    except OverflowError:
        return None
