"""The locks of a coordinator: groups by their rules, on a store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Protocol, TypeVar

from tidegate.clock import Clock
from tidegate.coordinator.combiner import CALL_SECS, Combiner, OnEvent, Setting
from tidegate.coordinator.model import (
    Answer,
    AuditEvent,
    Call,
    DenialKind,
    Denied,
    ForceRelease,
    GroupView,
    Released,
    Rules,
    SyncSlots,
)
from tidegate.coordinator.store.base import Store, unavailable
from tidegate.errors import ErrorKind, TidegateError

CHECK_AGE_SECS = 2.0
"""For so long the answer of a check is good for others who ask: it is a write, and anybody may ask ``/healthz``."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class LockService:
    """:class:`~tidegate.coordinator.service.Locks` on a store, which stays the caller's to close."""

    def __init__(  # noqa: PLR0913 - the two at the end are by name, and have defaults
        self,
        store: Store,
        clock: Clock,
        groups: Mapping[str, Rules],
        default_group: str | None = None,
        *,
        on_event: OnEvent = lambda _: None,
        timeout_secs: float = CALL_SECS,
    ) -> None:
        self._store, self._clock, self._timeout_secs = store, clock, timeout_secs
        self._setting = Setting(clock, on_event, timeout_secs)
        self._combiners: dict[str, Combiner] = {}
        self._groups: tuple[str, ...] = ()
        self._default_group: str | None = None
        self._aligning: set[asyncio.Task[None]] = set()
        self._checking = asyncio.Lock()
        self._checked_secs = float("-inf")
        self._ill: TidegateError | None = None
        self._set(groups, default_group)

    def configure(self, groups: Mapping[str, Rules], default_group: str | None = None) -> None:
        """Follow these rules from the next call on, and write their slots down for other servers on the same record.

        Holders of a group that is not there any more keep their slots, but nobody asks about it.
        """
        self._set(groups, default_group)
        self._align()

    async def __aenter__(self) -> LockService:
        self._align()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._aligning:
            task.cancel()
        await asyncio.gather(*self._aligning, return_exceptions=True)
        for combiner in self._combiners.values():
            await combiner.aclose()

    async def call(self, call: Call) -> Answer:
        """A client's request; see :class:`~tidegate.coordinator.service.Locks` for this and what follows."""
        group = call.client.group if call.client.group in self._groups else self._default_group
        if group is None:
            return Denied(DenialKind.UNKNOWN_GROUP, f"there is no group {call.client.group}")
        return await self._combiners[group].submit(call)

    async def groups(self) -> tuple[GroupView, ...]:
        """Every configured group, and what is held in it."""
        return tuple([await _view(name, self._combiners[name]) for name in self._groups])

    async def take(self, group: str | None, holder_id: str, by: str, reason: str) -> tuple[str, ...]:
        """Free the slot of ``holder_id`` for it."""
        places: list[str] = []
        for name in self._named(group):
            answer = await self._combiners[name].submit(ForceRelease(holder_id, by, reason))
            if answer == Released(held=True):
                places.append(name)
        if not places:
            where = f"in group {group}" if group else "in any group"
            message = f"{holder_id} holds no slot {where}"
            raise TidegateError(ErrorKind.COORDINATOR_NO_HOLDER, message, "see who does: tidegate coordinator status")
        return tuple(places)

    async def history(self, group: str | None, limit: int) -> tuple[AuditEvent, ...]:
        """What happened last, newest first."""
        happened: list[AuditEvent] = []
        for name in self._named(group):
            happened += await self._in_time(self._store.history(name, limit))
        happened.sort(key=lambda one: one.at, reverse=True)
        return tuple(happened[:limit])

    async def check(self) -> None:
        """Whether the store can be read and written."""
        async with self._checking:
            if self._clock.now().boot_secs - self._checked_secs >= CHECK_AGE_SECS:
                self._ill = await self._illness()
                self._checked_secs = self._clock.now().boot_secs
        if self._ill is not None:
            raise self._ill.failure.error()

    async def _illness(self) -> TidegateError | None:
        try:
            await self._in_time(self._store.check())
        except TidegateError as error:
            return error
        return None

    async def _in_time(self, asking: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_secs):
                return await asking
        except TimeoutError:
            raise unavailable(f"the store does not answer within {self._timeout_secs:g} s") from None

    def _named(self, group: str | None) -> tuple[str, ...]:
        if group is None:
            return self._groups
        if group not in self._groups:
            remedy = f"there are: {', '.join(self._groups)}"
            raise TidegateError(ErrorKind.COORDINATOR_UNKNOWN_GROUP, f"there is no group {group}", remedy)
        return (group,)

    def _set(self, groups: Mapping[str, Rules], default_group: str | None) -> None:
        """A combiner stays when its group goes: calls may be waiting in it, and the group may come back."""
        for name, rules in groups.items():
            if name in self._combiners:
                self._combiners[name].rules = rules
            else:
                self._combiners[name] = Combiner(name, self._store, rules, self._setting)
        self._groups, self._default_group = tuple(groups), default_group

    def _align(self) -> None:
        for name in self._groups:
            task = asyncio.create_task(_aligned(name, self._combiners[name]), name=f"slots of {name}")
            self._aligning.add(task)
            task.add_done_callback(self._aligning.discard)


async def _aligned(group: str, combiner: Combiner) -> None:
    """Later does as well: each change that is written has the slots of the rules in it."""
    try:
        await combiner.submit(SyncSlots())
    except TidegateError as error:
        _log.warning("group %s: its slots are not written down yet: %s", group, error)


async def _view(name: str, combiner: Combiner) -> GroupView:
    version, denials = await combiner.view()
    return GroupView(name, combiner.rules, tuple(version.semaphore.holders.values()), denials)


class Locks(Protocol):
    """Every method answers within the store's own deadline.

    Raises:
        TidegateError: ``coordinator.store-unavailable`` where the store does not answer; nothing is known to have
            changed then. ``coordinator.unknown-group`` and ``coordinator.no-holder`` where a person names what is not.
    """

    async def call(self, call: Call) -> Answer:
        """A client's request."""
        ...

    async def groups(self) -> tuple[GroupView, ...]:
        """Every configured group, and what is held in it."""
        ...

    async def take(self, group: str | None, holder_id: str, by: str, reason: str) -> tuple[str, ...]:
        """Free the slot of ``holder_id`` for it (in ``group``, else in all); the groups in which it was held."""
        ...

    async def history(self, group: str | None, limit: int) -> tuple[AuditEvent, ...]:
        """What happened last, newest first."""
        ...

    async def check(self) -> None:
        """Whether the store can be read and written by way of consensus at this moment."""
        ...
