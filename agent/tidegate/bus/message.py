"""A message on the bus, in this project's own types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import cast


class Kind(Enum):
    """What a message is."""

    CALL = auto()
    RETURN = auto()
    ERROR = auto()
    SIGNAL = auto()


@dataclass(frozen=True, slots=True)
class Typed:
    """A value for a place whose type is not fixed (``v``): its signature goes with it."""

    signature: str
    value: object


@dataclass(frozen=True, slots=True)
class Message:
    """One message; what does not apply to its kind is empty.

    In ``body`` arrays and structs are tuples, what is ``v`` is :class:`Typed`, and ``h`` is an open file descriptor.
    ``descriptors`` lists those of a message that came in: whoever takes the message closes them. ``answers`` is the
    serial of the call that a return or an error belongs to.
    """

    kind: Kind
    destination: str = ""
    path: str = ""
    interface: str = ""
    member: str = ""
    signature: str = ""
    body: tuple[object, ...] = ()
    error_name: str = ""
    answers: int = 0
    wants_reply: bool = True
    sender: str = ""
    serial: int = 0
    descriptors: tuple[int, ...] = ()


def unwrapped(value: object) -> object:
    """``value`` without :class:`Typed` anywhere in it: what is left is what callers compute with."""
    match value:
        case Typed():
            return unwrapped(value.value)
        case tuple():
            return tuple(map(unwrapped, cast("tuple[object, ...]", value)))
        case dict():
            return {key: unwrapped(member) for key, member in cast("dict[object, object]", value).items()}
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One interface of one object of one service: where calls go and signals come from."""

    destination: str
    path: str
    interface: str


@dataclass(frozen=True, slots=True)
class Match:
    """Signals ``member`` of ``source`` that carry ``signature``; ``arg0`` narrows by the first value."""

    source: Endpoint
    member: str
    signature: str
    arg0: str | None = None

    @property
    def rule(self) -> str:
        """The match rule in the daemon's language."""
        source = self.source
        rule = (
            f"type='signal',sender='{source.destination}',path='{source.path}',"
            f"interface='{source.interface}',member='{self.member}'"
        )
        return rule if self.arg0 is None else f"{rule},arg0='{self.arg0}'"


@dataclass(frozen=True, slots=True)
class Emission:
    """A signal that has arrived. ``sender`` is the unique name that the daemon vouches for."""

    sender: str
    path: str
    interface: str
    member: str
    signature: str
    args: tuple[object, ...]


def matches(match: Match, emission: Emission, owner: str | None) -> bool:
    """Whether ``emission`` is what ``match`` asks for; ``owner`` is the unique name behind its destination.

    The daemon has filtered broadcasts by all our rules together, and not at all what a peer sends to us
    directly: without the test of the sender any local user could tell us that the host shuts down.
    """
    source = match.source
    wanted = (owner, source.path, source.interface, match.member, match.signature)
    got = (emission.sender, emission.path, emission.interface, emission.member, emission.signature)
    return wanted == got and (match.arg0 is None or emission.args[:1] == (match.arg0,))
