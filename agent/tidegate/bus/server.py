"""The serving side of a connection: exported objects, and the dispatch of incoming calls to their handlers.

Handlers run as tasks, concurrently and within :mod:`.call_limits`. The standard interfaces (Peer, Introspectable,
Properties) are provided for every object.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tidegate.bus import errors
from tidegate.bus.call_limits import CallLimits, too_many
from tidegate.bus.callers import Callers
from tidegate.bus.channel import MessageChannel
from tidegate.bus.errors import (
    INVALID_ARGS,
    PROPERTY_READ_ONLY,
    UNKNOWN_INTERFACE,
    UNKNOWN_METHOD,
    UNKNOWN_OBJECT,
    UNKNOWN_PROPERTY,
    ErrorReply,
)
from tidegate.bus.interface import Caller, Interface, Method, Property, Signal, introspection
from tidegate.bus.message import Kind, Message, Typed, unwrapped
from tidegate.errors import TidegateError

PEER = "org.freedesktop.DBus.Peer"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PROPERTIES = "org.freedesktop.DBus.Properties"
MACHINE_ID_FILE = Path("/etc/machine-id")

_DEFECT_REMEDY = "see the journal of the service, and report the defect with it"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """A method call. ``interface`` may be empty, as D-Bus allows; the object then has to find the method."""

    path: str
    interface: str
    member: str
    signature: str
    args: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """The values of a successful reply and their signature."""

    signature: str
    values: tuple[object, ...]


class Server:
    """Serves the calls of one connection. ``identify`` returns the caller behind a unique name."""

    def __init__(self, channel: MessageChannel, identify: Callable[[str], Awaitable[Caller]]) -> None:
        self.exports = Exports()
        """The exported objects."""
        self._channel = channel
        self._callers = Callers(identify)
        self._call_limits = CallLimits()
        self._running: set[asyncio.Task[None]] = set()

    def dispatch(self, call: Message) -> None:
        """Start to handle ``call``, or refuse it where too many are being handled."""
        if not self._call_limits.acquire(call.sender, self._callers.uid_of(call.sender)):
            self._refuse(call, too_many())
            return
        task = asyncio.create_task(self._handle(call), name=f"call of {call.member}")
        self._running.add(task)
        task.add_done_callback(lambda task: self._handled(task, call.sender))

    async def finish(self, timeout_secs: float) -> None:
        """Wait until the calls received so far are answered, but for no longer than this."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_secs)

    async def stop(self) -> None:
        """Cancel the running handlers and wait for their end; a handler that calls this is not cancelled."""
        running = self._running - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _handled(self, task: asyncio.Task[None], sender: str) -> None:
        self._running.discard(task)
        self._call_limits.release(sender)

    async def _handle(self, call: Message) -> None:
        """Reply to one call, with an error where its handler raises."""
        try:
            answer = await self._answer(call)
            self._reply(call, answer)
        except errors.ErrorReply as error:
            self._refuse(call, error)
        except TidegateError as error:
            self._fail(call, errors.name_of(error.kind), error.message, error.remedy)
        except Exception:  # noqa: BLE001 - the traceback goes to the journal, not to the caller
            _log.exception("%s.%s failed", call.interface, call.member)
            self._fail(call, errors.INTERNAL, f"{call.member} failed unexpectedly", _DEFECT_REMEDY)

    async def _answer(self, call: Message) -> Message:
        args = tuple(unwrapped(value) for value in call.body)
        request = Request(call.path, call.interface, call.member, call.signature, args)
        caller = replace(await self._callers.identify(call.sender), may_interact=call.may_interact)
        with self._call_limits.of_user(caller.uid):
            reply = await self.exports.answer(request, caller)
        return Message(Kind.RETURN, signature=reply.signature, body=reply.values)

    def _refuse(self, call: Message, error: errors.ErrorReply) -> None:
        self._fail(call, error.error_name, error.text)

    def _fail(self, call: Message, error_name: str, *texts: str) -> None:
        self._reply(call, Message(Kind.ERROR, error_name=error_name, signature="s" * len(texts), body=texts))

    def _reply(self, call: Message, answer: Message) -> None:
        if call.wants_reply:
            self._channel.send(replace(answer, destination=call.sender, answers=call.serial))


class Exports:
    """The exported objects: interfaces by path, with the standard ones added."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[Interface, ...]] = {}

    def add(self, path: str, interface: Interface) -> None:
        """Serve ``interface`` at ``path``, in addition to those that are served there."""
        self._objects[path] = (*self._objects.get(path, ()), interface)

    def remove(self, path: str, interface: Interface) -> None:
        """Stop serving ``interface`` at ``path``."""
        rest = tuple(other for other in self._objects.get(path, ()) if other is not interface)
        if rest:
            self._objects[path] = rest
        else:
            self._objects.pop(path, None)

    async def answer(self, request: Request, caller: Caller) -> Reply:
        """Run the handler of ``request``.

        Raises:
            ErrorReply: no such object, interface or method, or another signature.
            Exception: any error of the handler.
        """
        interface, method = self._find(request)
        expected = "".join(method.takes.values())
        if request.signature != expected:
            text = f"{interface.name}.{method.name} takes {expected!r}, not {request.signature!r}"
            raise ErrorReply(INVALID_ARGS, text)
        await interface.admit(caller)
        values = await method.handler(caller, *request.args)
        return Reply("".join(method.returns.values()), values)

    def _find(self, request: Request) -> tuple[Interface, Method]:
        interfaces = self._interfaces(request.path)
        if not interfaces:
            raise ErrorReply(UNKNOWN_OBJECT, f"there is no object {request.path}")
        named = [one for one in interfaces if request.interface in {"", one.name}]
        if not named:
            raise ErrorReply(UNKNOWN_INTERFACE, f"{request.path} has no interface {request.interface}")
        for interface in named:
            if (method := interface.method(request.member)) is not None:
                return interface, method
        raise ErrorReply(UNKNOWN_METHOD, f"{request.interface or request.path} has no method {request.member}")

    def _interfaces(self, path: str) -> tuple[Interface, ...]:
        own = self._objects.get(path, ())
        if not own and not self._children(path):
            return ()
        return (*own, _peer(), self._introspectable(path), *self._properties(own))

    def _children(self, path: str) -> tuple[str, ...]:
        base = path.rstrip("/") + "/"
        below = {other[len(base) :].split("/")[0] for other in self._objects if other.startswith(base)}
        return tuple(sorted(below - {""}))

    def _introspectable(self, path: str) -> Interface:
        async def introspect(_caller: Caller) -> tuple[object, ...]:
            return (introspection(self._interfaces(path), self._children(path)),)

        return Interface(INTROSPECTABLE, (Method("Introspect", introspect, returns={"xml": "s"}),))

    def _properties(self, own: tuple[Interface, ...]) -> tuple[Interface, ...]:
        if not own:
            return ()
        named = {"interface": "s", "name": "s"}
        methods = (
            Method("Get", partial(_get, own), named, {"value": "v"}),
            Method("GetAll", partial(_get_all, own), {"interface": "s"}, {"values": "a{sv}"}),
            Method("Set", partial(_set, own), {**named, "value": "v"}),
        )
        changed = Signal("PropertiesChanged", {"interface": "s", "changed": "a{sv}", "invalidated": "as"})
        return (Interface(PROPERTIES, methods, signals=(changed,)),)


def _peer() -> Interface:
    return Interface(PEER, (Method("Ping", _ping), Method("GetMachineId", _machine_id, returns={"id": "s"})))


async def _ping(_caller: Caller) -> tuple[object, ...]:
    return ()


async def _machine_id(_caller: Caller) -> tuple[object, ...]:
    return (MACHINE_ID_FILE.read_text(encoding="ascii").strip(),)  # noqa: ASYNC240 - 33 bytes


async def _get(own: tuple[Interface, ...], caller: Caller, interface: str, name: str) -> tuple[object, ...]:
    return (_read(await _property(own, caller, interface, name)),)


async def _get_all(own: tuple[Interface, ...], caller: Caller, interface: str) -> tuple[object, ...]:
    found = _admitting(own, interface)
    await found.admit(caller)
    return ({prop.name: _read(prop) for prop in found.properties},)


async def _set(
    own: tuple[Interface, ...], caller: Caller, interface: str, name: str, _value: object
) -> tuple[object, ...]:
    await _property(own, caller, interface, name)
    raise ErrorReply(PROPERTY_READ_ONLY, f"{interface}.{name} cannot be written")


async def _property(own: tuple[Interface, ...], caller: Caller, interface: str, name: str) -> Property:
    found = _admitting(own, interface)
    await found.admit(caller)
    for prop in found.properties:
        if prop.name == name:
            return prop
    raise ErrorReply(UNKNOWN_PROPERTY, f"{interface} has no property {name}")


def _admitting(own: tuple[Interface, ...], name: str) -> Interface:
    for interface in own:
        if interface.name == name:
            return interface
    raise ErrorReply(UNKNOWN_INTERFACE, f"there is no interface {name} here")


def _read(prop: Property) -> Typed:
    return Typed(prop.signature, prop.read())
