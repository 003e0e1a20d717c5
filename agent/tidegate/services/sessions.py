"""The sessions of systemd-logind, and the meaning of their properties. Pure.

The properties are those of org.freedesktop.login1(5), the same from systemd 245 to 257. One that is missing, or of an
unexpected type, gets the value that holds a reboot back: the session is an active one of a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

SESSION_INTERFACE = "org.freedesktop.login1.Session"

GONE = frozenset({"org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.login1.NoSuchSession"})
"""The errors for a session that has ended since it was listed."""

_GRAPHICAL = frozenset({"x11", "wayland", "mir"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """A session. ``kind`` is logind's Type (tty, x11, wayland, unspecified), ``category`` its Class (user, greeter,
    manager, ...), ``state`` online, active or closing.

    ``last_input`` is the time of the last input, where logind knows it: a graphical session reports it once it is idle,
    for a terminal it is always known. ``began_boot_secs`` is the earliest time on the boot clock at which the session
    can have been opened: logind uses the monotonic clock, which stops during suspend.
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
        """Whether it is a graphical session, local or not."""
        return self.kind in _GRAPHICAL


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of ListSessions: a session before its properties are read."""

    id: str
    uid: int
    user: str
    path: str


def session_of(row: Listed, properties: Mapping[str, object]) -> Session:
    """Return the session of ``row`` with these properties."""
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
    """A terminal's IdleHint becomes true only after half an hour; its IdleSinceHint is always the last input."""
    if kind in _GRAPHICAL and not _property(properties, "IdleHint", False):  # noqa: FBT003 - the default
        return None
    return _instant(_property(properties, "IdleSinceHint", 0))


def _property(properties: Mapping[str, object], name: str, default: T) -> T:
    value = properties.get(name)
    return value if isinstance(value, type(default)) else default


def _instant(usec: int) -> datetime | None:
    """Microseconds since 1970 as a time; None for 0 and for times out of range."""
    try:
        return _EPOCH + timedelta(microseconds=usec) if usec > 0 else None
    except OverflowError:
        return None
