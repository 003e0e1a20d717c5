"""A connection to the message bus: calls with deadlines, signals from verified senders, exported objects."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self, cast

from tidegate.bus import errors
from tidegate.bus.channel import MessageChannel
from tidegate.bus.framing import close_all
from tidegate.bus.interface import Caller, Emits, Interface
from tidegate.bus.message import Emission, Endpoint, Kind, Match, Message, Typed, matches, unwrapped
from tidegate.bus.server import PROPERTIES, Server
from tidegate.errors import ErrorKind, TidegateError

SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
DBUS = Endpoint("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")

CALL_SECS = 25.0
"""The default of sd-bus, which includes the start of a service that is not running."""

_DO_NOT_QUEUE = 4  # RequestName's flag
_PRIMARY_OWNER, _ALREADY_OWNER = 1, 4  # and its two successful results


_log = logging.getLogger(__name__)


class Bus:
    """One connection. Handlers of calls run as concurrent tasks, those of signals synchronously and in order."""

    def __init__(self, channel: MessageChannel) -> None:
        self.closed = asyncio.Event()
        """Set when the connection has ended, on either side."""
        self._channel = channel
        self._replies: dict[int, asyncio.Future[Message]] = {}
        self._subscriptions: list[tuple[Match, Callable[[Emission], None]]] = []
        self._owners: dict[str, str | None] = {DBUS.destination: DBUS.destination}
        self._server = Server(channel, self._identify)
        channel.listen(self._receive, self._ended)

    @classmethod
    async def connect(cls, address: str | None = None) -> Self:
        """Connect to the bus at ``address``; by default to the system bus, or ``DBUS_SYSTEM_BUS_ADDRESS``.

        Raises:
            TidegateError: ``bus.unreachable``.
        """
        where = address or os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM_BUS
        try:
            return cls(await MessageChannel.open(where))
        except (OSError, ValueError) as error:
            text = f"cannot connect to the bus at {where}: {error or type(error).__name__}"
            raise TidegateError(ErrorKind.BUS_UNREACHABLE, text, "check that dbus is running") from error

    @property
    def connected(self) -> bool:
        """Whether the connection is up, as far as is known."""
        return self._channel.connected

    @property
    def unique_name(self) -> str:
        """The name that the daemon gave to this connection, such as ``:1.42``."""
        return self._channel.unique_name

    async def finish_calls(self, timeout_secs: float) -> None:
        """Wait until the calls received so far are answered, but for no longer than this."""
        await self._server.finish(timeout_secs)

    async def close(self) -> None:
        """Close the connection; running handlers are cancelled, and replies given so far are sent."""
        await self._server.stop()
        await self._channel.close()

    async def call(  # noqa: PLR0913 - the parts of a call
        self,
        endpoint: Endpoint,
        member: str,
        signature: str = "",
        *args: object,
        returns: str = "",
        timeout_secs: float = CALL_SECS,
        may_interact: bool = False,
    ) -> tuple[object, ...]:
        """Call a method and return its values: arrays and structs as tuples, variants unwrapped.

        A ``v`` is passed as :class:`Typed`. The caller closes file descriptors (``h``) in the result. ``returns`` is
        the expected signature: a reply of another one is an error. ``may_interact``: the service may have polkit prompt
        the user.

        Raises:
            CallFailed: the service replied with an error of its own, or with other types.
            TidegateError: the error that a Tidegate service raised; ``bus.timeout``; ``bus.unreachable``.
        """
        call = replace(_call(endpoint, member, signature, args), may_interact=may_interact)
        reply = await self._ask(call, timeout_secs)
        if reply.signature != returns:
            close_all(reply.descriptors)
            raise _wrong_type(f"{endpoint.destination} {member}", reply.signature, returns)
        return tuple(unwrapped(value) for value in reply.body)

    async def get_property(
        self, endpoint: Endpoint, name: str, signature: str, *, timeout_secs: float = CALL_SECS
    ) -> object:
        """Read a property whose type must be ``signature``; raise as :meth:`call` does."""
        properties = replace(endpoint, interface=PROPERTIES)
        reply = await self._ask(_call(properties, "Get", "ss", (endpoint.interface, name)), timeout_secs)
        match reply.body:
            case (Typed(signature=got, value=value),) if got == signature:
                return unwrapped(value)
            case (Typed(signature=got),):
                pass
            case _:
                got = reply.signature
        close_all(reply.descriptors)
        raise _wrong_type(f"{endpoint.destination} {name}", got, signature)

    async def _ask(self, call: Message, timeout_secs: float) -> Message:
        """Send a call and wait for its reply; raise an error reply."""
        if not self.connected:
            raise _gone()
        context = f"{call.destination} {call.member}"
        serial = self._channel.send(call)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[serial] = reply
        try:
            async with asyncio.timeout(timeout_secs):
                answer = await reply
        except TimeoutError:
            text = f"{context}: no answer within {timeout_secs:g} s"
            raise TidegateError(ErrorKind.BUS_TIMEOUT, text) from None
        finally:
            del self._replies[serial]
        if answer.kind is Kind.ERROR:
            close_all(answer.descriptors)
            raise errors.error_from_reply(answer.error_name, answer.body, context)
        return answer

    async def subscribe(self, match: Match, handler: Callable[[Emission], None]) -> Callable[[], None]:
        """Call ``handler`` for each matching signal until the returned function is called."""
        entry = (match, handler)
        self._subscriptions.append(entry)
        try:
            await self._follow_owner(match.source.destination)
            await self.call(DBUS, "AddMatch", "s", match.rule)
        except BaseException:
            self._subscriptions.remove(entry)
            raise

        def unsubscribe() -> None:
            if entry in self._subscriptions:
                self._subscriptions.remove(entry)
                self._channel.send(replace(_call(DBUS, "RemoveMatch", "s", (match.rule,)), wants_reply=False))

        return unsubscribe

    async def watch_owner(self, name: str, handler: Callable[[str, str], None]) -> Callable[[], None]:
        """Call ``handler(old, new)`` when the owner of ``name`` changes; an empty string is no owner."""

        def changed(emission: Emission) -> None:
            _name, old, new = cast("tuple[str, str, str]", emission.args)
            handler(old, new)

        return await self.subscribe(_owner_changes(name), changed)

    async def has_owner(self, name: str) -> bool:
        """Whether ``name`` has an owner now; raise as :meth:`call` does."""
        (answer,) = await self.call(DBUS, "NameHasOwner", "s", name, returns="b")
        return bool(answer)

    async def _follow_owner(self, name: str) -> None:
        """Track the unique name behind ``name``: signals are sent under unique names."""
        if name in self._owners or name.startswith(":"):
            return
        await self.watch_owner(name, lambda _old, new: self._owners.update({name: new or None}))
        owner: object = None
        with suppress(errors.CallFailed):  # it has no owner yet
            (owner,) = await self.call(DBUS, "GetNameOwner", "s", name, returns="s")
        self._owners.setdefault(name, cast("str | None", owner))  # a change that was signalled meanwhile is newer

    async def request_name(self, name: str) -> None:
        """Become the owner of ``name``.

        Raises:
            TidegateError: ``bus.call-failed`` when the policy refuses it or another process owns it.
        """
        (answer,) = await self.call(DBUS, "RequestName", "su", name, _DO_NOT_QUEUE, returns="u")
        if answer not in {_PRIMARY_OWNER, _ALREADY_OWNER}:
            text = f"the bus name {name} belongs to another process"
            raise TidegateError(ErrorKind.BUS_CALL_FAILED, text, f"find it with `busctl status {name}`")

    async def release_name(self, name: str) -> None:
        """Release ``name``; every call that was sent to it before has been received when this returns."""
        await self.call(DBUS, "ReleaseName", "s", name, returns="u")

    def export(self, path: str, interface: Interface) -> Exported:
        """Serve ``interface`` at ``path``."""
        self._server.exports.add(path, interface)
        return Exported(self, path, interface)

    def unexport(self, path: str, interface: Interface) -> None:
        """Stop serving ``interface`` at ``path``."""
        self._server.exports.remove(path, interface)

    def emit(self, source: Endpoint, member: str, signature: str, args: Sequence[object]) -> None:
        """Send a signal, broadcast where the destination is empty. It is lost when the connection has ended."""
        self._channel.send(replace(_call(source, member, signature, args), kind=Kind.SIGNAL))

    async def _identify(self, sender: str) -> Caller:
        """Ask the daemon for user and process; newer GetConnectionCredentials would return a descriptor as well."""
        (uid,) = await self.call(DBUS, "GetConnectionUnixUser", "s", sender, returns="u")
        pid: object = None
        with suppress(errors.CallFailed):  # a caller in another PID namespace may have none
            (pid,) = await self.call(DBUS, "GetConnectionUnixProcessID", "s", sender, returns="u")
        return Caller(sender, cast(int, uid), cast("int | None", pid))

    def _receive(self, message: Message) -> None:
        match message.kind:
            case Kind.CALL:
                close_all(message.descriptors)  # no served method takes any
                self._server.dispatch(message)
            case Kind.SIGNAL:
                close_all(message.descriptors)
                self._deliver(_emission(message))
            case Kind.RETURN | Kind.ERROR:
                waiting = self._replies.get(message.answers)
                if waiting is None or waiting.done():
                    close_all(message.descriptors)  # after the deadline
                else:
                    waiting.set_result(message)

    def _deliver(self, emission: Emission) -> None:
        for match, handler in tuple(self._subscriptions):
            source = match.source.destination
            if matches(match, emission, self._owners.get(source, source)):
                try:
                    handler(emission)
                except Exception:  # noqa: BLE001 - a defect of one subscriber must not affect the others
                    _log.exception("the handler of %s.%s failed", emission.interface, emission.member)

    def _ended(self) -> None:
        for waiting in self._replies.values():
            if not waiting.done():
                waiting.set_exception(_gone())
        self.closed.set()


@dataclass(frozen=True, slots=True)
class Exported:
    """A served interface, which emits its signals."""

    bus: Bus
    path: str
    interface: Interface

    def emit(self, signal: str, *args: object) -> None:
        """Broadcast ``signal``."""
        signature = "".join(self.interface.signal(signal).carries.values())
        self.bus.emit(Endpoint("", self.path, self.interface.name), signal, signature, args)

    def changed(self, *names: str) -> None:
        """Broadcast ``PropertiesChanged`` for ``names``, with the values of the properties that emit them."""
        props = [prop for prop in self.interface.properties if prop.name in names]
        values = {prop.name: Typed(prop.signature, prop.read()) for prop in props if prop.emits is Emits.VALUE}
        unread = [prop.name for prop in props if prop.emits is Emits.INVALIDATION]
        source = Endpoint("", self.path, PROPERTIES)
        self.bus.emit(source, "PropertiesChanged", "sa{sv}as", (self.interface.name, values, unread))

    def remove(self) -> None:
        """Stop serving it."""
        self.bus.unexport(self.path, self.interface)


def _call(endpoint: Endpoint, member: str, signature: str, args: Sequence[object]) -> Message:
    return Message(Kind.CALL, endpoint.destination, endpoint.path, endpoint.interface, member, signature, tuple(args))


def _owner_changes(name: str) -> Match:
    return Match(DBUS, "NameOwnerChanged", "sss", arg0=name)


def _emission(message: Message) -> Emission:
    args = tuple(unwrapped(value) for value in message.body)
    return Emission(message.sender, message.path, message.interface, message.member, message.signature, args)


def _gone() -> TidegateError:
    return TidegateError(ErrorKind.BUS_UNREACHABLE, "the connection to the bus has ended", "check that dbus is running")


def _wrong_type(context: str, got: str, expected: str) -> errors.CallFailed:
    return errors.CallFailed(errors.INVALID_SIGNATURE, f"the answer has the type {got!r}, not {expected!r}", context)
