"""The interface of a served object as data: its methods, properties and signals, and their introspection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

Handler = Callable[..., Awaitable[tuple[object, ...]]]
"""Called with the :class:`Caller` and the arguments, whose types were checked against ``takes``; returns one value for
each of ``returns``."""


def _no_arguments() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a call, as the bus daemon vouches for it. ``pid`` is for logs only: it may have been reused.

    ``may_interact``: for this call, polkit may prompt the caller's user.
    """

    unique_name: str
    uid: int
    pid: int | None
    may_interact: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """A method. ``takes`` and ``returns`` map argument names to signatures, in order."""

    name: str
    handler: Handler
    takes: Mapping[str, str] = field(default_factory=_no_arguments)
    returns: Mapping[str, str] = field(default_factory=_no_arguments)


class Emits(StrEnum):
    """The signal that follows a change of a property: the values of the annotation ``EmitsChangedSignal``."""

    VALUE = "true"
    INVALIDATION = "invalidates"
    NEVER_CHANGES = "const"


@dataclass(frozen=True, slots=True)
class Property:
    """A read-only property; every caller that the interface admits may read it."""

    name: str
    signature: str
    read: Callable[[], object]
    emits: Emits = Emits.VALUE


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal; ``carries`` maps argument names to signatures, in order."""

    name: str
    carries: Mapping[str, str] = field(default_factory=_no_arguments)


async def admit_all(_caller: Caller) -> None:
    """Admit every caller that the bus policy lets through."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface of an object. ``admit`` runs before each method and property read and raises to refuse."""

    name: str
    methods: tuple[Method, ...] = ()
    properties: tuple[Property, ...] = ()
    signals: tuple[Signal, ...] = ()
    admit: Callable[[Caller], Awaitable[None]] = admit_all

    def method(self, name: str) -> Method | None:
        """Return the method ``name``, or None."""
        return next((method for method in self.methods if method.name == name), None)

    def signal(self, name: str) -> Signal:
        """Return the signal ``name``.

        Raises:
            KeyError: the interface has none of that name.
        """
        return {signal.name: signal for signal in self.signals}[name]


EMITS_CHANGED_SIGNAL = "org.freedesktop.DBus.Property.EmitsChangedSignal"

_HEADER = """<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
"""


def introspection(interfaces: tuple[Interface, ...], children: tuple[str, ...]) -> str:
    """Return the introspection document of an object with these interfaces and child nodes."""
    lines = [line for interface in interfaces for line in _interface(interface)]
    lines += [f' <node name="{child}"/>' for child in children]
    return _HEADER + "\n".join(["<node>", *lines, "</node>", ""])


def _interface(interface: Interface) -> Iterator[str]:
    yield f' <interface name="{interface.name}">'
    for method in interface.methods:
        yield f'  <method name="{method.name}">'
        yield from _arguments(method.takes, ' direction="in"')
        yield from _arguments(method.returns, ' direction="out"')
        yield "  </method>"
    for prop in interface.properties:
        yield from _property(prop)
    for signal in interface.signals:
        yield f'  <signal name="{signal.name}">'
        yield from _arguments(signal.carries, "")
        yield "  </signal>"
    yield " </interface>"


def _property(prop: Property) -> Iterator[str]:
    head = f'  <property name="{prop.name}" type="{prop.signature}" access="read"'
    if prop.emits is Emits.VALUE:  # the default
        yield f"{head}/>"
    else:
        yield f"{head}>"
        yield f'   <annotation name="{EMITS_CHANGED_SIGNAL}" value="{prop.emits}"/>'
        yield "  </property>"


def _arguments(arguments: Mapping[str, str], direction: str) -> Iterator[str]:
    for name, signature in arguments.items():
        yield f'   <arg name="{name}" type="{signature}"{direction}/>'
