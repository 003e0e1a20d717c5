"""The socket to the message bus; the only importer of dbus-next.

dbus-next 0.2.3 authenticates, frames and marshals, and nothing more: its own ``call()`` never returns once the bus
has died, its service classes hide the sender and send tracebacks to callers. :mod:`.bus` does those things.
"""

# dbus-next has no annotations: whatever comes out of it gets its type in this file.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportPrivateImportUsage=false

from __future__ import annotations

import asyncio
import os
import socket
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, cast

from tidegate.dbus.message import Kind, Message, Typed

with warnings.catch_warnings():
    # dbus-next 0.2.3 uses typing.no_type_check_decorator, which Python 3.13 deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    import dbus_next
    from dbus_next.aio import MessageBus

CONNECT_SECS = 5.0
"""The daemon answers in milliseconds; a full backlog must not hold the process for ever."""
FLUSH_SECS = 1.0
"""How long closing waits for answers that are still on their way out."""
MESSAGES_A_TURN = 32
"""How many messages are taken before timers and everything else get their turn: a peer may send without end."""

_KINDS = {
    Kind.CALL: dbus_next.MessageType.METHOD_CALL,
    Kind.RETURN: dbus_next.MessageType.METHOD_RETURN,
    Kind.ERROR: dbus_next.MessageType.ERROR,
    Kind.SIGNAL: dbus_next.MessageType.SIGNAL,
}
_OURS = {theirs: ours for ours, theirs in _KINDS.items()}


class Link:
    """An authenticated connection that sends and receives messages."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._last_sent: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to the daemon at ``address``, such as ``unix:path=/run/dbus/system_bus_socket``.

        Raises:
            OSError: the daemon is not there or does not answer in time.
            ValueError: the address makes no sense, or the daemon refused the authentication.
        """
        connection = _Connection(bus_address=address, negotiate_unix_fd=True)
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
        """Whether the connection is up, as far as anybody can tell."""
        return bool(self._connection.connected)

    @property
    def unique_name(self) -> str:
        """The name that the daemon gave to this connection, such as ``:1.42``."""
        return str(self._connection.unique_name)

    def listen(self, received: Callable[[Message], None], ended: Callable[[], None]) -> None:
        """Call ``received`` for each message that comes in, and ``ended`` once when the connection has ended."""

        def take(wire: dbus_next.Message) -> bool:
            try:
                message = _from_wire(wire)
            except (IndexError, ValueError):  # a descriptor that was never sent: the daemon does not look at values
                close_all(wire.unix_fds)
            else:
                received(message)
            return True  # dbus-next has nothing to add

        self._connection.add_message_handler(take)
        self._connection.ended = ended

    def send(self, message: Message) -> int:
        """Queue ``message``; its serial. Descriptors in it remain the sender's. Lost when the connection has ended.

        Raises:
            ValueError: the body is not what the signature says.
        """
        descriptors: list[int] = []
        serial = int(self._connection.next_serial())
        try:
            wire = _to_wire(message, serial, descriptors)
            sending = self._connection.send(wire) if self.connected else None
        except BaseException:
            close_all(descriptors)
            raise
        if sending is None:
            close_all(descriptors)
            return serial
        self._last_sent = sending
        sending.add_done_callback(lambda sent: _sent(sent, descriptors))
        return serial

    async def close(self) -> None:
        """End the connection after what was queued has been sent."""
        if self.connected and self._last_sent is not None:
            await asyncio.wait([self._last_sent], timeout=FLUSH_SECS)
        self._connection.end()


class _Connection(MessageBus):
    """dbus-next's connection without its ways of hanging, leaking and making noise."""

    ended: Callable[[], None] = staticmethod(lambda: None)

    def end(self) -> None:
        """Close now. disconnect() only shuts the socket down, and logs a warning when it is down already."""
        self._user_disconnect = True
        self._finalize()

    def disconnect(self) -> None:
        self.end()

    def _finalize(self, err: Exception | None = None) -> None:
        """As dbus-next does, and once only: the number of the closed socket may be another's afterwards."""
        if self._disconnected:
            return
        super()._finalize(err)  # type: ignore[no-untyped-call]  # see above
        if self._disconnect_future.done():
            self._disconnect_future.exception()  # looked at, or asyncio reports it as never retrieved
        with suppress(OSError):
            self._stream.close()
        self._sock.close()
        self.ended()

    def _setup_socket(self) -> None:
        """As dbus-next does, but nothing is left open on failure, and a full backlog does not block for ever."""
        self._sock = _open_socket(self._bus_address)
        self._stream = self._sock.makefile("rwb")
        self._fd = self._sock.fileno()

    def _message_reader(self) -> None:
        """As dbus-next does, which goes on as long as there is anything to read."""
        try:
            for _ in range(MESSAGES_A_TURN):
                if not self._unmarshaller.unmarshall():
                    return
                self._on_message(self._unmarshaller.message)  # type: ignore[no-untyped-call]  # dbus-next has no types
                self._unmarshaller = self._create_unmarshaller()  # type: ignore[no-untyped-call]  # as above
        except Exception as error:  # noqa: BLE001 - end of file, or bytes that make no sense: nothing more can be read
            self._finalize(error)

    async def _auth_readline(self) -> str:
        """As dbus-next does, whose version spins without ever yielding when the daemon hangs up."""
        line = b""
        while not line.endswith(b"\r\n"):
            piece = await self._loop.sock_recv(self._sock, 1)
            if not piece:
                raise EOFError("the daemon hung up during the authentication")
            line += piece
        return line[:-2].decode()


def _open_socket(addresses: Iterable[tuple[str, Mapping[str, str]]]) -> socket.socket:
    problem = OSError("the address names no unix socket")
    for transport, options in addresses:
        name = options.get("path") or "\0" + options.get("abstract", "")
        if transport != "unix" or name == "\0":
            continue
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.settimeout(CONNECT_SECS)
            channel.connect(name)
        except OSError as error:
            channel.close()
            problem = error
            continue
        channel.settimeout(0)  # not blocking, as asyncio wants it
        return channel
    raise problem


def _sent(sending: asyncio.Future[None], descriptors: Sequence[int]) -> None:
    """Looks at how it ended, or asyncio reports it; that the bus is lost is told elsewhere."""
    if not sending.cancelled():
        sending.exception()
    close_all(descriptors)


def close_all(descriptors: Sequence[int]) -> None:
    """Close every one of ``descriptors``."""
    for descriptor in descriptors:
        os.close(descriptor)


def _to_wire(message: Message, serial: int, descriptors: list[int]) -> dbus_next.Message:
    types = dbus_next.SignatureTree(message.signature).types
    body = [_encode(kind, value, descriptors) for kind, value in zip(types, message.body, strict=True)]
    flags = dbus_next.MessageFlag.NONE if message.wants_reply else dbus_next.MessageFlag.NO_REPLY_EXPECTED
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
        flags=flags,
        serial=serial,
        unix_fds=descriptors,
    )


def _from_wire(wire: dbus_next.Message) -> Message:
    types = wire.signature_tree.types
    return Message(
        kind=_OURS[wire.message_type],
        destination=wire.destination or "",
        path=wire.path or "",
        interface=wire.interface or "",
        member=wire.member or "",
        signature=wire.signature,
        body=tuple(_decode(kind, value, wire.unix_fds) for kind, value in zip(types, wire.body, strict=True)),
        error_name=wire.error_name or "",
        answers=wire.reply_serial or 0,
        wants_reply=not wire.flags & dbus_next.MessageFlag.NO_REPLY_EXPECTED,
        sender=wire.sender or "",
        serial=wire.serial,
        descriptors=tuple(wire.unix_fds),
    )


def _encode(kind: dbus_next.SignatureType, value: object, descriptors: list[int]) -> object:
    """A value as dbus-next marshals it: lists for arrays and structs, Variant for what is ``v``."""
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
    """D-Bus has no NUL and no lone surrogates in strings: the daemon drops the connection of who sends one."""
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
