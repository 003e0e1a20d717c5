"""The protocol of a gate: a question about one reboot, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from tidegate.clock import Now
from tidegate.release import Purpose, Release


@dataclass(frozen=True, slots=True)
class Allow:
    """The gate allows a reboot at this moment.

    ``until`` is the instant (UTC) at which it no longer will, such as the end of a window; None where that is not
    known.
    """

    gate: str
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """An announcement of the reboot to the users who are logged in, which gives them time until ``until`` (UTC).

    ``terminals`` are those that ``text`` is to be written to, such as ``pts/3``.
    """

    text: str
    until: datetime
    terminals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """The gate does not allow a reboot at this moment.

    ``until`` is the instant (UTC) at which the verdict is expected to change; None where that is not known. ``remedy``
    tells an operator how to lift it. ``notice`` has to be given before this gate can allow the reboot; it is given only
    once no other gate waits.
    """

    gate: str
    reason: str
    until: datetime | None = None
    remedy: str = ""
    notice: Notice | None = None


Verdict = Allow | Wait

NOT_NOTICED: Mapping[str, Now] = MappingProxyType({})
"""No notice has been given."""


@dataclass(frozen=True, slots=True)
class Question:
    """May the host reboot into ``target`` for ``purpose``, now?

    ``allowed_until`` is the earliest ``until`` of the gates that were asked before this one; None without any.
    ``noticed`` has, by gate, when its last notice was given.
    """

    target: Release
    purpose: Purpose
    now: Now
    allowed_until: datetime | None = None
    noticed: Mapping[str, Now] = field(default_factory=lambda: NOT_NOTICED)


def override_command(gate: str) -> str:
    """The command by which an operator overrides ``gate`` for one reboot, for use in a remedy."""
    return f"tidegate apply --now --override {gate} --reason TEXT"


class Gate(Protocol):
    """One rule that a reboot must satisfy."""

    @property
    def name(self) -> str:
        """The gate's name in ``explain``, metrics and ``--override``."""
        ...

    @property
    def guards(self) -> frozenset[Purpose]:
        """The purposes for which this gate is asked."""
        ...

    @property
    def overridable(self) -> bool:
        """Whether an operator may override this gate by name, for one request."""
        ...

    async def ask(self, question: Question) -> Verdict:
        """The verdict for this moment. Has no side effects, since ``explain`` asks as well.

        Fails closed: where the gate cannot find out what it needs, it waits.

        Raises:
            TidegateError: the gate cannot be evaluated, which counts as :class:`Wait`.
        """
        ...
