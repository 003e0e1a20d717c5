"""dbus-next's connection, hardened for a service that any local user may send to. The only importer of dbus-next.

dbus-next 0.2.3 waits for ever for a daemon that does not answer, closes the connection over one message that it cannot
read or a socket that is full for a moment, and buffers messages of any length. Its reading and writing are replaced
here; :mod:`.channel` uses the rest.
"""

# dbus-next has no annotations: its values get their types in this file.
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
"""Messages read in one iteration of the event loop: a peer that sends without pause must not starve the rest."""
MAX_UNSENT = 2048
"""Length of the send queue beyond which nothing is read and no signal sent. The daemon stops reading while clients that
never read their replies exhaust its own limits, and memory here must stay bounded."""
MAX_SIGNATURES = 256
"""Size of dbus-next's cache of parsed signatures, which it never shrinks, while callers can send any signature."""

_log = logging.getLogger(__name__)


class _Writer(_MessageWriter):
    """dbus-next's send queue."""

    def write_callback(self) -> None:
        """Send what the socket takes. dbus-next closes the connection when the socket is full."""
        try:
            while self.buf is not None or self.messages.qsize():
                self._write_some()
        except (BlockingIOError, InterruptedError):
            return  # the event loop calls again when there is room
        except Exception as error:  # noqa: BLE001 - after any error nothing more can be sent
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
    """dbus-next's connection with bounded waits and memory, and without leaks and stray log lines."""

    ended: Callable[[], None] = staticmethod(lambda: None)
    on_truncated: Callable[[dbus_next.Message], None] = staticmethod(lambda _wire: None)
    """Called with a message whose body was too long and is left out."""
    _reading = True

    def __init__(self, address: str) -> None:
        super().__init__(bus_address=address, negotiate_unix_fd=True)
        self._writer = _Writer(self)  # type: ignore[no-untyped-call]  # dbus-next has no types

    @property
    def is_congested(self) -> bool:
        """Whether the send queue is full, because the daemon does not read."""
        return bool(self._writer.messages.qsize() >= MAX_UNSENT)

    def end(self) -> None:
        """Close at once. dbus-next's disconnect() only shuts the socket down, and logs a warning if it is down."""
        self._user_disconnect = True
        self._finalize()

    def disconnect(self) -> None:
        self.end()

    def _finalize(self, err: Exception | None = None) -> None:
        """Clean up once only: afterwards the number of the closed socket may belong to another file."""
        if self._disconnected:
            return
        super()._finalize(err)  # type: ignore[no-untyped-call]  # see above
        if self._disconnect_future.done():
            self._disconnect_future.exception()  # or asyncio reports it as never retrieved
        self._framer.close()
        with suppress(OSError):
            self._stream.close()
        self._sock.close()
        self.ended()

    def _setup_socket(self) -> None:
        """Open the socket. dbus-next leaks it on failure, and blocks for ever on a full backlog."""
        self._sock = open_socket(self._bus_address)
        self._framer = Framer(self._sock)
        self._stream = self._sock.makefile("rwb")
        self._fd = self._sock.fileno()

    def _message_reader(self) -> None:
        """Read a bounded number of messages. dbus-next reads as long as there are any, of any length."""
        try:
            for _ in range(MESSAGES_A_TURN):
                if self.is_congested:
                    self._reading = False
                    self._loop.remove_reader(self._fd)
                    return
                frame = self._framer.read()
                if frame is None:
                    return
                self._dispatch(frame)
        except Exception as error:  # noqa: BLE001 - end of file, or not D-Bus: nothing more can be read
            self._finalize(error)

    def _dispatch(self, frame: Frame) -> None:
        """Unmarshal ``frame`` and pass it on; a message that dbus-next cannot read must not end the connection."""
        if len(dbus_next.SignatureTree._cache) > MAX_SIGNATURES:
            dbus_next.SignatureTree._cache.clear()
        try:
            unmarshaller = Unmarshaller(io.BytesIO(frame.data))
            unmarshaller.unix_fds = list(frame.descriptors)
            wire = unmarshaller.unmarshall()
        except Exception as error:  # noqa: BLE001 - the next message may be well-formed
            _log.debug("a malformed message is ignored: %r", error)
            wire = None
        if wire is None or frame.truncated:
            close_all(frame.descriptors)
        if wire is not None:
            (self.on_truncated if frame.truncated else self._on_message)(wire)

    def sent(self) -> None:
        """Resume reading once the send queue has drained by half."""
        if not self._reading and not self._disconnected and self._writer.messages.qsize() <= MAX_UNSENT // 2:
            self._reading = True
            self._loop.add_reader(self._fd, self._message_reader)

    async def _auth_readline(self) -> str:
        """Read a line. dbus-next's version spins without yielding when the daemon closes the connection."""
        line = b""
        while not line.endswith(b"\r\n"):
            piece = await self._loop.sock_recv(self._sock, 1)
            if not piece:
                raise EOFError("the daemon closed the connection during the authentication")
            line += piece
        return line[:-2].decode()
