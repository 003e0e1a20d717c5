"""Failures as they travel on the bus, both ways.

A :class:`~tidegate.errors.TidegateError` becomes the D-Bus error ``org.tidegate.Error.<Kind>`` with two
strings, message and remedy, and is the same error again on the other side. What any other service
answers with an error becomes :class:`CallFailed`.
"""

from __future__ import annotations

from tidegate.errors import ErrorKind, TidegateError

PREFIX = "org.tidegate.Error."
INTERNAL = PREFIX + "Internal"
"""The error of a handler that met a bug: the journal has the traceback, the caller has not."""

ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
INTERACTIVE_AUTHORIZATION_REQUIRED = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
INVALID_SIGNATURE = "org.freedesktop.DBus.Error.InvalidSignature"
LIMITS_EXCEEDED = "org.freedesktop.DBus.Error.LimitsExceeded"
NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
NAME_HAS_NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner"
PROPERTY_READ_ONLY = "org.freedesktop.DBus.Error.PropertyReadOnly"
UNKNOWN_INTERFACE = "org.freedesktop.DBus.Error.UnknownInterface"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
UNKNOWN_PROPERTY = "org.freedesktop.DBus.Error.UnknownProperty"

ABSENT = frozenset(
    {
        NAME_HAS_NO_OWNER,
        NO_REPLY,
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.Disconnected",
        "org.freedesktop.DBus.Error.TimedOut",
        "org.freedesktop.DBus.Error.Spawn.ChildExited",
        "org.freedesktop.DBus.Error.Spawn.ChildSignaled",
        "org.freedesktop.DBus.Error.Spawn.ExecFailed",
        "org.freedesktop.DBus.Error.Spawn.Failed",
        "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
        "org.freedesktop.systemd1.NoSuchUnit",
        "org.freedesktop.systemd1.UnitMasked",
    }
)
"""What the bus itself answers when a service is not there, cannot be started, or died over the call."""


class CallFailed(TidegateError):
    """Another service answered with an error of its own. ``error_name`` is the D-Bus error name, ``text`` its words."""

    def __init__(self, error_name: str, text: str, context: str) -> None:
        short = error_name.rpartition(".")[2]
        super().__init__(ErrorKind.BUS_CALL_FAILED, f"{context}: {text or error_name} ({short})")
        self.error_name = error_name
        self.text = text


class ErrorReply(Exception):
    """Raised by a handler to answer with exactly this D-Bus error; for the standard ones."""

    def __init__(self, error_name: str, text: str) -> None:
        super().__init__(text)
        self.error_name = error_name
        self.text = text


def name_of(kind: ErrorKind) -> str:
    """The D-Bus error name of a kind: ``engine.no-space`` is ``org.tidegate.Error.EngineNoSpace``."""
    return PREFIX + "".join(word.capitalize() for word in kind.replace(".", "-").split("-"))


_KINDS = {name_of(kind): kind for kind in ErrorKind}


def error_from_reply(error_name: str, body: tuple[object, ...], context: str) -> TidegateError:
    """The exception for an error reply. ``context`` says who was asked for what; services name neither."""
    message, remedy, *_ = [*(part for part in body if isinstance(part, str)), "", ""]
    if error_name in _KINDS:
        return TidegateError(_KINDS[error_name], message, remedy)
    return CallFailed(error_name, message, context)
