"""Groups in memory that do to a combiner what a store may do: fail, hang, conflict, and carry out what they deny."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from tidegate.coordinator.group_state import Change, GroupState
from tidegate.coordinator.group_store import Conflict, Replaced
from tidegate.coordinator.model import AuditEvent, Holder, Semaphore
from tidegate.coordinator.store.base import nonsense, unavailable


class Trouble(Enum):
    """What comes of the next request."""

    NONE = auto()
    FAILS = auto()
    DONE_BUT_FAILS = auto()
    DELAYED = auto()
    HANGS = auto()
    NONSENSE = auto()
    DEFECT = auto()


@dataclass(frozen=True, slots=True)
class MemoryVersion:
    """A :class:`~tidegate.coordinator.group_store.Version`."""

    state: GroupState
    revision: int
    store: MemoryStore = field(repr=False)

    async def confirmed(self) -> MemoryVersion:
        self.store.confirmed += 1
        await self.store.suffer()
        return self.store.current(self)

    async def swap(self, change: Change) -> Replaced | Conflict:
        self.store.swaps.append(change)
        trouble = await self.store.suffer()
        if trouble is Trouble.DELAYED:
            self.store.delayed.append((self, change))
            raise unavailable("the answer does not come in time")
        if self.store.current(self) is not self:
            return Conflict(self.store.current(None))
        self.store.write(change.state)
        self.store.happened += change.audit_events
        if trouble is Trouble.DONE_BUT_FAILS:
            raise unavailable("the answer was lost")
        return Replaced(self.store.current(None))


@dataclass
class MemoryStore:
    """:class:`~tidegate.coordinator.group_store.Groups` with one group. ``troubles`` come one a request;
    ``gate``: requests wait for it. ``swaps`` are all that were tried. ``groups`` are the names that it gives."""

    troubles: deque[Trouble] = field(default_factory=deque[Trouble])
    gate: asyncio.Event | None = None
    swaps: list[Change] = field(default_factory=list[Change])
    happened: list[AuditEvent] = field(default_factory=list[AuditEvent])
    delayed: list[tuple[MemoryVersion, Change]] = field(default_factory=list[tuple[MemoryVersion, Change]])
    reads: int = 0
    confirmed: int = 0
    checks: int = 0
    groups: set[str] = field(default_factory=set[str])
    _version: MemoryVersion | None = None

    async def read(self, group: str) -> MemoryVersion:
        self.reads += 1
        await self.suffer()
        return self.current(None)

    async def names(self) -> frozenset[str]:
        await self.suffer()
        return frozenset(self.groups)

    async def history(self, group: str, limit: int) -> tuple[AuditEvent, ...]:
        await self.suffer()
        return tuple(one for one in reversed(self.happened) if one.group == group)[:limit]

    async def check(self) -> None:
        self.checks += 1
        await self.suffer()

    def current(self, like: MemoryVersion | None) -> MemoryVersion:
        """The current version; ``like`` itself where that is it."""
        if self._version is None:
            self._version = MemoryVersion(GroupState(), 0, self)
        return like if like is not None and like.revision == self._version.revision else self._version

    def write(self, state: GroupState) -> None:
        """What another coordinator may do as well."""
        self._version = MemoryVersion(state, self.current(None).revision + 1, self)

    def deliver(self) -> None:
        """What was delayed arrives, and is compared and swapped like everything else."""
        for version, change in self.delayed:
            if self.current(version) is version:
                self.write(change.state)
        self.delayed.clear()

    def hold(self, *ids: str) -> None:
        """Another coordinator lets these have all slots there are."""
        self.write(GroupState(Semaphore(len(ids), {one: Holder(one, since=None) for one in ids})))

    @property
    def holders(self) -> set[str]:
        return {*self.current(None).state.semaphore.holders}

    async def suffer(self) -> Trouble:
        """What is due."""
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        trouble = self.troubles.popleft() if self.troubles else Trouble.NONE
        match trouble:
            case Trouble.FAILS:
                raise unavailable("refused")
            case Trouble.NONSENSE:
                raise nonsense("the key holds a poem", "delete it")
            case Trouble.HANGS:
                await asyncio.Event().wait()
            case Trouble.DEFECT:
                raise ZeroDivisionError
            case Trouble.NONE | Trouble.DONE_BUT_FAILS | Trouble.DELAYED:
                pass
        return trouble
