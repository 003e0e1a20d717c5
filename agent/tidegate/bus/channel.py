"""Messages over a connection to the bus, in this project's own types.

dbus-next 0.2.3 is used to authenticate and to marshal only: its ``call()`` never returns once the bus has died, and its
service classes hide the sender and send tracebacks to callers. :mod:`.bus` does those things.
"""

# dbus-next has no annotations: its values get their types in this file.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportPrivateImportUsage=false

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, cast

from tidegate.bus.connection import Connection, dbus_next
from tidegate.bus.errors import LIMITS_EXCEEDED
from tidegate.bus.framing import CONNECT_SECS, close_all
from tidegate.bus.message import Kind, Message, Typed

FLUSH_SECS = 1.0
"""How long closing waits for answers that are not sent yet."""

_log = logging.getLogger(__name__)

_KINDS = {
    Kind.CALL: dbus_next.MessageType.METHOD_CALL,
    Kind.RETURN: dbus_next.MessageType.METHOD_RETURN,
    Kind.ERROR: dbus_next.MessageType.ERROR,
    Kind.SIGNAL: dbus_next.MessageType.SIGNAL,
}
_KINDS_OF_DBUS_NEXT = {theirs: kind for kind, theirs in _KINDS.items()}


class MessageChannel:
    """An authenticated connection that sends and receives messages."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last_sent: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to the daemon at ``address``, such as ``unix:path=/run/dbus/system_bus_socket``.

        Raises:
            OSError: the daemon is not there or does not answer in time.
            ValueError: the address is malformed, or the daemon refused the authentication.
        """
        connection = Connection(address)
        try:
            async with asyncio.timeout(CONNECT_SECS):
                await connection.connect()
        except (dbus_next.AuthError, EOFError) as error:
            connection.end()
            raise ValueError(str(error)) from error
        except BaseException:
            connection.end()
            raise
        return cls(connection)

    @property
    def connected(self) -> bool:
        """Whether the connection is up, as far as is known."""
        return bool(self._connection.connected)

    @property
    def unique_name(self) -> str:
        """The name that the daemon gave to this connection, such as ``:1.42``."""
        return str(self._connection.unique_name)

    def listen(self, received: Callable[[Message], None], ended: Callable[[], None]) -> None:
        """Call ``received`` for each incoming message, and ``ended`` once when the connection has ended."""

        def on_message(wire: dbus_next.Message) -> bool:
            try:
                message = _from_wire(wire)
            except (IndexError, ValueError):  # an index of a descriptor that was not sent: the daemon does not check
                close_all(wire.unix_fds)
                return True
            try:
                received(message)
            except Exception:  # noqa: BLE001 - dbus-next would send the traceback to the caller
                _log.exception("%s of %s failed", message.member or "a message", message.sender)
            return True  # dbus-next has nothing to add

        self._connection.add_message_handler(on_message)
        self._connection.on_truncated = lambda wire: self._on_truncated(wire, received)
        self._connection.ended = ended

    def _on_truncated(self, wire: dbus_next.Message, received: Callable[[Message], None]) -> None:
        """Answer a call that is too long with an error, and replace a reply that is too long by one."""
        text = "the message is too long"
        fault = Message(Kind.ERROR, error_name=LIMITS_EXCEEDED, signature="s", body=(text,))
        match _KINDS_OF_DBUS_NEXT[wire.message_type]:
            case Kind.CALL if not wire.flags & dbus_next.MessageFlag.NO_REPLY_EXPECTED:
                self.send(replace(fault, destination=wire.sender or "", answers=wire.serial))
            case Kind.RETURN | Kind.ERROR:
                received(replace(fault, sender=wire.sender or "", answers=wire.reply_serial or 0))
            case _:
                pass

    def send(self, message: Message) -> int:
        """Queue ``message`` and return its serial. Descriptors in it are duplicated, and remain the caller's to close.

        The message is lost when the connection has ended; a signal also when too much is queued.

        Raises:
            ValueError: the body does not match the signature.
        """
        descriptors: list[int] = []
        serial = int(self._connection.next_serial())
        try:
            wire = _to_wire(message, serial, descriptors)
            lost = not self.connected or (message.kind is Kind.SIGNAL and self._connection.is_congested)
            sending = None if lost else self._connection.send(wire)
        except BaseException:
            close_all(descriptors)
            raise
        if sending is None:
            close_all(descriptors)
            return serial
        self._last_sent = sending
        sending.add_done_callback(partial(self._sent, descriptors))
        return serial

    def _sent(self, descriptors: Sequence[int], sending: asyncio.Future[None]) -> None:
        """Retrieve the error, or asyncio reports it; the loss of the bus is reported through ``ended``."""
        if not sending.cancelled():
            sending.exception()
        close_all(descriptors)
        self._connection.sent()

    async def close(self) -> None:
        """Close the connection after what is queued has been sent, or after :data:`FLUSH_SECS`."""
        if self.connected and self._last_sent is not None:
            await asyncio.wait([self._last_sent], timeout=FLUSH_SECS)
        self._connection.end()


def _to_wire(message: Message, serial: int, descriptors: list[int]) -> dbus_next.Message:
    types = dbus_next.SignatureTree(message.signature).types
    body = [_encode(kind, value, descriptors) for kind, value in zip(types, message.body, strict=True)]
    fields: dict[str, Any] = {
        "destination": message.destination,
        "path": message.path,
        "interface": message.interface,
        "member": message.member,
        "error_name": message.error_name,
        "reply_serial": message.answers,
    }
    return dbus_next.Message(
        **{name: value for name, value in fields.items() if value},
        message_type=_KINDS[message.kind],
        signature=message.signature,
        body=body,
        flags=_flags(message),
        serial=serial,
        unix_fds=descriptors,
    )


def _flags(message: Message) -> dbus_next.MessageFlag:
    flags = dbus_next.MessageFlag.NONE if message.wants_reply else dbus_next.MessageFlag.NO_REPLY_EXPECTED
    return flags | dbus_next.MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION if message.may_interact else flags


def _from_wire(wire: dbus_next.Message) -> Message:
    types = wire.signature_tree.types
    return Message(
        kind=_KINDS_OF_DBUS_NEXT[wire.message_type],
        destination=wire.destination or "",
        path=wire.path or "",
        interface=wire.interface or "",
        member=wire.member or "",
        signature=wire.signature,
        body=tuple(_decode(kind, value, wire.unix_fds) for kind, value in zip(types, wire.body, strict=True)),
        error_name=wire.error_name or "",
        answers=wire.reply_serial or 0,
        wants_reply=not wire.flags & dbus_next.MessageFlag.NO_REPLY_EXPECTED,
        may_interact=bool(wire.flags & dbus_next.MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION),
        sender=wire.sender or "",
        serial=wire.serial,
        descriptors=tuple(wire.unix_fds),
    )


def _encode(kind: dbus_next.SignatureType, value: object, descriptors: list[int]) -> object:
    """Convert a value to what dbus-next marshals: lists for arrays and structs, Variant for ``v``."""
    match kind.token:
        case "s":
            return _clean(cast(str, value))
        case "v":
            typed = cast(Typed, value)
            (inner,) = dbus_next.SignatureTree(typed.signature).types
            return dbus_next.Variant(typed.signature, _encode(inner, typed.value, descriptors))
        case "h":
            descriptors.append(os.dup(cast(int, value)))
            return len(descriptors) - 1
        case "(":
            members = zip(kind.children, cast("Sequence[object]", value), strict=True)
            return [_encode(child, member, descriptors) for child, member in members]
        case "a" if kind.children[0].token == "{":  # noqa: S105 - a type code
            keys, values = kind.children[0].children
            pairs = cast("Mapping[object, object]", value).items()
            return {_encode(keys, key, descriptors): _encode(values, member, descriptors) for key, member in pairs}
        case "a" if not isinstance(value, bytes):
            return [_encode(kind.children[0], member, descriptors) for member in cast("Sequence[object]", value)]
        case _:
            return value


def _clean(text: str) -> str:
    """Replace NUL and lone surrogates: the daemon disconnects a client that sends them in a string."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _decode(kind: dbus_next.SignatureType, value: object, descriptors: Sequence[int]) -> object:
    match kind.token:
        case "v":
            variant = cast(dbus_next.Variant, value)
            inner = cast(dbus_next.SignatureType, variant.type)
            return Typed(variant.signature, _decode(inner, variant.value, descriptors))
        case "h":
            return descriptors[cast(int, value)]
        case "(":
            members = zip(kind.children, cast("Sequence[object]", value), strict=True)
            return tuple(_decode(child, member, descriptors) for child, member in members)
        case "a" if isinstance(value, dict):
            values = kind.children[0].children[1]
            return {key: _decode(values, member, descriptors) for key, member in value.items()}
        case "a" if not isinstance(value, bytes):
            return tuple(_decode(kind.children[0], member, descriptors) for member in cast("Sequence[object]", value))
        case _:
            return value
