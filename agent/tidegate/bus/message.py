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
