"""Messages in this project's own types, and what selects them: endpoints, and matches for signals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import cast


class Kind(Enum):
    """The type of a message."""

    CALL = auto()
    RETURN = auto()
    ERROR = auto()
    SIGNAL = auto()


@dataclass(frozen=True, slots=True)
class Typed:
    """A variant (``v``): a value with its signature."""

    signature: str
    value: object


@dataclass(frozen=True, slots=True)
class Message:
    """One message; fields that do not apply to its kind are empty.

    In ``body`` arrays and structs are tuples, ``v`` is :class:`Typed`, and ``h`` is an open file descriptor.
    ``descriptors`` lists those of a received message: its receiver closes them. ``answers`` is the serial of the call
    that a return or an error replies to. ``may_interact``: the caller is ready to wait while polkit prompts its user.
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
    may_interact: bool = False
    sender: str = ""
    serial: int = 0
    descriptors: tuple[int, ...] = ()


def unwrapped(value: object) -> object:
    """Return ``value`` with every :class:`Typed` in it, at any depth, replaced by its value."""
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
    """One interface of one object of one service: the target of calls, and the source of signals."""

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
        """The match rule for the daemon's ``AddMatch``."""
        source = self.source
        rule = (
            f"type='signal',sender='{source.destination}',path='{source.path}',"
            f"interface='{source.interface}',member='{self.member}'"
        )
        return rule if self.arg0 is None else f"{rule},arg0='{self.arg0}'"


@dataclass(frozen=True, slots=True)
class Emission:
    """A received signal. ``sender`` is the unique name that the daemon vouches for."""

    sender: str
    path: str
    interface: str
    member: str
    signature: str
    args: tuple[object, ...]


def matches(match: Match, emission: Emission, owner: str | None) -> bool:
    """Whether ``match`` selects ``emission``; ``owner`` is the unique name behind the match's destination.

    The daemon filters broadcasts by all rules of the connection together, and unicast signals not at all: without the
    check of the sender any local user could forge the signal that the host shuts down.
    """
    source = match.source
    wanted = (owner, source.path, source.interface, match.member, match.signature)
    got = (emission.sender, emission.path, emission.interface, emission.member, emission.signature)
    return wanted == got and (match.arg0 is None or emission.args[:1] == (match.arg0,))
