"""The specification of a gate, and its protocol: a question about one reboot, and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tidegate.clock import Now
from tidegate.release import Purpose, Release

if TYPE_CHECKING:
    from tidegate.config.conflicts import Conflict
    from tidegate.config.keys import Section
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings

EVERY_PURPOSE = frozenset(Purpose)


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


def waits(verdicts: Iterable[Verdict]) -> tuple[Wait, ...]:
    """The verdicts that hold the reboot."""
    return tuple(verdict for verdict in verdicts if isinstance(verdict, Wait))


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


class Rank:
    """The order in which gates are asked; those of one rank are asked in the order of their names."""

    STRATEGY = 0
    """Strategies, in the order in which they are configured."""
    CHEAP = 10
    """Answered without asking another process."""
    SERVICE = 20
    """Answered by a local service."""
    CLOCK = 30
    """After every gate whose verdict may depend on the clock, since the gate considers those verdicts."""
    NOTICE = 40
    """Last: users are notified, and their grace period begins, only once no other gate waits."""


@dataclass(frozen=True, slots=True)
class GateSpec:
    """The facts about a gate that the rest of the package needs, and the keys that configure it.

    ``name`` is the gate's name in ``explain``, metrics and ``--override``; ``summary`` completes the sentence "the gate
    does not allow a reboot while ..." of the manual. ``guards`` are the purposes for which it is asked.
    ``overridable``: an operator may override it by name, for one request. ``etiquette``: it is a courtesy that yields
    once a deadline has passed. ``rank``: see :class:`Rank`.

    ``strategy``: it is asked only where ``updates.strategy`` names it. ``by_clock``: its verdict depends on the clock
    even where it allows without an end; a verdict with an end depends on it anyway.

    ``table`` is the TOML table whose keys ``section`` declares; ``conflicts`` checks those keys against each other, and
    is called only where the gate is in use. ``build`` makes the gate, or none where the settings switch it off; without
    ``build`` no gate is asked, since the machine itself knows the verdict.
    """

    name: str
    summary: str
    guards: frozenset[Purpose]
    overridable: bool
    etiquette: bool = False
    rank: int = Rank.SERVICE
    strategy: bool = False
    by_clock: bool = False
    table: str | None = None
    section: type[Section] | None = None
    conflicts: Callable[[Any], Iterator[Conflict]] | None = None
    build: Callable[[Settings, GateSources], Iterator[Gate]] | None = None


class SpecifiedGate:
    """The part of a gate that follows from its specification."""

    spec: ClassVar[GateSpec]

    @property
    def name(self) -> str:
        """The name in the specification."""
        return self.spec.name

    @property
    def guards(self) -> frozenset[Purpose]:
        """The purposes in the specification."""
        return self.spec.guards

    @property
    def overridable(self) -> bool:
        """Whether the specification lets an operator override the gate."""
        return self.spec.overridable
