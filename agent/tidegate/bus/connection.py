"""dbus-next's connection, made fit for a service that anybody on the host may send to. The only importer of dbus-next.

dbus-next 0.2.3 waits for ever where a daemon says nothing, ends the connection over one message that it cannot read and
over a socket that is full for a moment, and takes whatever it is sent, of whatever length. Its ways of reading and
writing are replaced here; :mod:`.channel` uses the rest.
"""

# dbus-next has no annotations: whatever comes out of it gets its type in this file.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateImportUsage=false
# What is replaced here is dbus-next's own.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import array
import io
import logging
import socket
import warnings
from collections.abc import Callable
from contextlib import suppress

from tidegate.bus.framing import Frame, Framer, close_all, open_socket

with warnings.catch_warnings():
    # dbus-next 0.2.3 uses typing.no_type_check_decorator, which Python 3.13 deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    import dbus_next
    from dbus_next._private.unmarshaller import Unmarshaller
    from dbus_next.aio import MessageBus
    from dbus_next.aio.message_bus import _MessageWriter

__all__ = ["Connection", "dbus_next"]

MESSAGES_A_TURN = 32
"""How many messages are taken before timers and everything else get their turn: a peer may send without end."""
MAX_UNSENT = 2048
"""Messages that wait for the daemon to take them. Beyond that nothing more is read, and signals are not sent: it stops
taking while callers who never read their answers fill its own limits, and memory here must stay flat."""
MAX_SIGNATURES = 256
"""Signatures that dbus-next keeps the parsed form of: it keeps every one that it ever met, and callers make them up."""

_log = logging.getLogger(__name__)


class _Writer(_MessageWriter):
    """dbus-next's queue of what is to be sent."""

    def write_callback(self) -> None:
        """As dbus-next does, to which a socket that is full is the end of the connection."""
        try:
            while self.buf is not None or self.messages.qsize():
                self._write_some()
        except (BlockingIOError, InterruptedError):
            return  # the event loop calls again when there is room
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more can be sent
            self.bus._finalize(error)
            return
        self.loop.remove_writer(self.fd)

    def _write_some(self) -> None:
        if self.buf is None:
            message, self.unix_fds, self.fut = self.messages.get_nowait()
            self.buf, self.offset = memoryview(message), 0
        rights = array.array("i", self.unix_fds or ())
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if rights else []
        self.offset += self.sock.sendmsg([self.buf[self.offset :]], ancillary)
        self.unix_fds = None
        if self.offset >= len(self.buf):
            self.buf = None
            if self.fut is not None and not self.fut.done():
                self.fut.set_result(None)


class Connection(MessageBus):
    """dbus-next's connection without its ways of hanging, leaking and making noise."""

    ended: Callable[[], None] = staticmethod(lambda: None)
    took_head: Callable[[dbus_next.Message], None] = staticmethod(lambda _wire: None)
    """Called with a message whose body was too long to be taken."""
    _reading = True

    def __init__(self, address: str) -> None:
        super().__init__(bus_address=address, negotiate_unix_fd=True)
        self._writer = _Writer(self)  # type: ignore[no-untyped-call]  # dbus-next has no types

    @property
    def is_choked(self) -> bool:
        """Whether the daemon does not take what is sent."""
        return bool(self._writer.messages.qsize() >= MAX_UNSENT)

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
        self._framer.close()
        with suppress(OSError):
            self._stream.close()
        self._sock.close()
        self.ended()

    def _setup_socket(self) -> None:
        """As dbus-next does, but nothing is left open on failure, and a full backlog does not block for ever."""
        self._sock = open_socket(self._bus_address)
        self._framer = Framer(self._sock)
        self._stream = self._sock.makefile("rwb")
        self._fd = self._sock.fileno()

    def _message_reader(self) -> None:
        """As dbus-next does, which goes on as long as there is anything to read, and keeps whatever anybody sends."""
        try:
            for _ in range(MESSAGES_A_TURN):
                if self.is_choked:
                    self._reading = False
                    self._loop.remove_reader(self._fd)
                    return
                frame = self._framer.take()
                if frame is None:
                    return
                self._take(frame)
        except Exception as error:  # noqa: BLE001 - end of file, or bytes that make no sense: nothing more can be read
            self._finalize(error)

    def _take(self, frame: Frame) -> None:
        """Pass on what is in ``frame``: a message that dbus-next cannot read must not end the connection."""
        if len(dbus_next.SignatureTree._cache) > MAX_SIGNATURES:
            dbus_next.SignatureTree._cache.clear()
        try:
            unmarshaller = Unmarshaller(io.BytesIO(frame.data))
            unmarshaller.unix_fds = list(frame.descriptors)
            wire = unmarshaller.unmarshall()
        except Exception as error:  # noqa: BLE001 - one message that makes no sense says nothing of the next one
            _log.debug("a message is passed over: %r", error)
            wire = None
        if wire is None or frame.truncated:
            close_all(frame.descriptors)
        if wire is not None:
            (self.took_head if frame.truncated else self._on_message)(wire)

    def sent(self) -> None:
        """Read again once the daemon has taken enough."""
        if not self._reading and not self._disconnected and self._writer.messages.qsize() <= MAX_UNSENT // 2:
            self._reading = True
            self._loop.add_reader(self._fd, self._message_reader)

    async def _auth_readline(self) -> str:
        """As dbus-next does, whose version spins without ever yielding when the daemon hangs up."""
        line = b""
        while not line.endswith(b"\r\n"):
            piece = await self._loop.sock_recv(self._sock, 1)
            if not piece:
                raise EOFError("the daemon hung up during the authentication")
            line += piece
        return line[:-2].decode()
