"""D-Bus errors, and their conversion to and from this project's errors.

A :class:`~tidegate.errors.TidegateError` becomes the D-Bus error ``org.tidegate.Error.<Kind>`` with two strings,
message and remedy, and the same error again on the other side. An error of any other service becomes
:class:`CallFailed`.
"""

from __future__ import annotations

from tidegate.errors import ErrorKind, TidegateError

PREFIX = "org.tidegate.Error."
INTERNAL = PREFIX + "Internal"
"""The error of a handler that raised unexpectedly: the traceback is in the journal, and not sent to the caller."""

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
"""The errors of the bus itself when a service does not exist, cannot be started, or died during the call."""


class CallFailed(TidegateError):
    """An error of another service. ``error_name`` is the D-Bus error name, ``text`` its message."""

    def __init__(self, error_name: str, text: str, context: str) -> None:
        short = error_name.rpartition(".")[2]
        super().__init__(ErrorKind.BUS_CALL_FAILED, f"{context}: {text or error_name} ({short})")
        self.error_name = error_name
        self.text = text


class ErrorReply(Exception):
    """Raised by a handler to reply with this D-Bus error; for the standard ones."""

    def __init__(self, error_name: str, text: str) -> None:
        super().__init__(text)
        self.error_name = error_name
        self.text = text


def name_of(kind: ErrorKind) -> str:
    """Return the D-Bus error name of a kind: ``engine.no-space`` is ``org.tidegate.Error.EngineNoSpace``."""
    return PREFIX + "".join(word.capitalize() for word in kind.replace(".", "-").split("-"))


_KINDS = {name_of(kind): kind for kind in ErrorKind}


def error_from_reply(error_name: str, body: tuple[object, ...], context: str) -> TidegateError:
    """Return the exception for an error reply. ``context`` names service and method, which replies do not."""
    message, remedy, *_ = [*(part for part in body if isinstance(part, str)), "", ""]
    if error_name in _KINDS:
        return TidegateError(_KINDS[error_name], message, remedy)
    return CallFailed(error_name, message, context)
