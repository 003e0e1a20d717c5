"""The lock service: the groups of a coordinator, each by its rules, in one store.

:class:`Locks` is what the HTTP side calls; :class:`LockService` implements it with one
:class:`~tidegate.coordinator.combiner.Combiner` for each group.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

from tidegate.clock import Clock
from tidegate.coordinator.combiner import CALL_SECS, Combiner, OnEvent, Setting
from tidegate.coordinator.group_store import Groups
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
from tidegate.coordinator.store.base import unavailable
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.protocol import Verb

NAMES_AGE_SECS = 10.0
"""How long the list of groups in the store is reused: requests for groups that do not exist must not each read it."""

CHECK_AGE_SECS = 2.0
"""How long the result of a health check is reused: a check is a write, and ``/healthz`` is open to everybody."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Locks(Protocol):
    """The locks of all groups. Every method answers within the store's deadline.

    Raises:
        TidegateError: ``coordinator.store-unavailable``: the store does not answer, and nothing is known to have
            changed. ``coordinator.unknown-group`` and ``coordinator.no-holder``: an operator names a group or a holder
            that does not exist.
    """

    async def call(self, call: Call) -> Answer:
        """Carry out a client's request."""
        ...

    async def groups(self) -> tuple[GroupView, ...]:
        """Every configured group with its holders, by a linearizable read, and the others that have holders."""
        ...

    async def force_release(self, group: str | None, holder_id: str, by: str, reason: str) -> tuple[str, ...]:
        """Free the slot of ``holder_id`` in ``group`` (None: in every group); the groups in which it held one."""
        ...

    async def history(self, group: str | None, limit: int) -> tuple[AuditEvent, ...]:
        """The latest events of ``group`` (None: of all groups), newest first."""
        ...

    async def check(self) -> None:
        """Check that the store can be read and written (for etcd: that it has a quorum)."""
        ...


class LockService:
    """:class:`Locks` on the groups of a store. The caller opens the store, and closes it after the service."""

    def __init__(  # noqa: PLR0913 - the two at the end are by name, and have defaults
        self,
        stored: Groups,
        clock: Clock,
        groups: Mapping[str, Rules],
        default_group: str | None = None,
        *,
        on_event: OnEvent = lambda _: None,
        timeout_secs: float = CALL_SECS,
    ) -> None:
        self._stored, self._clock, self._timeout_secs = stored, clock, timeout_secs
        self._setting = Setting(clock, on_event, timeout_secs)
        self._combiners: dict[str, Combiner] = {}
        self._groups: tuple[str, ...] = ()
        self._default_group: str | None = None
        self._sync_tasks: set[asyncio.Task[None]] = set()
        self._names_lock = asyncio.Lock()
        self._names: frozenset[str] = frozenset()
        self._names_secs = float("-inf")
        self._unreadable = set[str]()
        self._check_lock = asyncio.Lock()
        self._checked_secs = float("-inf")
        self._check_error: TidegateError | None = None
        self._set_rules(groups, default_group)

    async def __aenter__(self) -> LockService:
        self._sync_slots()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._sync_tasks:
            task.cancel()
        await asyncio.gather(*self._sync_tasks, return_exceptions=True)
        for combiner in self._combiners.values():
            await combiner.aclose()

    def configure(self, groups: Mapping[str, Rules], default_group: str | None = None) -> None:
        """Apply these rules from the next call on, and write their slots to the records for other servers.

        Holders of a group that is no longer configured keep their slots and can release them; nobody gets a slot in it.
        """
        self._set_rules(groups, default_group)
        self._sync_slots()

    async def call(self, call: Call) -> Answer:
        """See :class:`Locks`, for this and the following."""
        name = call.client.group
        if name in self._groups:
            return await self._combiners[name].submit(call)
        former = None
        if call.verb is Verb.STEADY_STATE and name in await self._former_groups():
            former = await (await self._former(name)).submit(call)
        if self._default_group is not None:
            return await self._combiners[self._default_group].submit(call)
        return former or Denied(DenialKind.UNKNOWN_GROUP, f"there is no group {name}")

    async def groups(self) -> tuple[GroupView, ...]:
        """Every configured group with its holders, and the others that have holders."""
        views = [await _view(name, self._combiners[name]) for name in self._groups]
        for name in await self._readable_former():
            former = replace(await _view(name, await self._former(name)), configured=False)
            views += [former] if former.holders else []
        return tuple(views)

    async def force_release(self, group: str | None, holder_id: str, by: str, reason: str) -> tuple[str, ...]:
        """Free the slot of ``holder_id``; the groups in which it held one."""
        freed: list[str] = []
        for name in await self._named(group):
            combiner = self._combiners[name] if name in self._groups else await self._former(name)
            answer = await combiner.submit(ForceRelease(holder_id, by, reason))
            if answer == Released(held=True):
                freed.append(name)
        if not freed:
            where = f"in group {group}" if group else "in any group"
            message = f"{holder_id} holds no slot {where}"
            raise TidegateError(ErrorKind.COORDINATOR_NO_HOLDER, message, "see who does: tidegate coordinator status")
        return tuple(freed)

    async def history(self, group: str | None, limit: int) -> tuple[AuditEvent, ...]:
        """The latest events, newest first."""
        events: list[AuditEvent] = []
        for name in await self._named(group):
            events += await self._in_time(self._stored.history(name, limit))
        events.sort(key=lambda event: event.at, reverse=True)
        return tuple(events[:limit])

    async def check(self) -> None:
        """Check the store; single-flight, and the result is reused for ``CHECK_AGE_SECS``."""
        async with self._check_lock:
            if self._clock.now().boot_secs - self._checked_secs >= CHECK_AGE_SECS:
                self._check_error = await self._check_store()
                self._checked_secs = self._clock.now().boot_secs
        if self._check_error is not None:
            raise self._check_error.failure.error()

    async def _check_store(self) -> TidegateError | None:
        try:
            await self._in_time(self._stored.check())
        except TidegateError as error:
            return error
        return None

    async def _in_time(self, request: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_secs):
                return await request
        except TimeoutError:
            raise unavailable(f"the store does not answer within {self._timeout_secs:g} s") from None

    async def _named(self, group: str | None) -> tuple[str, ...]:
        if group in self._groups:
            return (group,)
        if group is None:
            return (*self._groups, *await self._readable_former())
        if group not in await self._former_groups():
            remedy = f"the configured groups are: {', '.join(self._groups)}"
            raise TidegateError(ErrorKind.COORDINATOR_UNKNOWN_GROUP, f"there is no group {group}", remedy)
        return (group,)

    async def _former_groups(self) -> tuple[str, ...]:
        """The groups in the store that are not configured; single-flight, and read every ``NAMES_AGE_SECS`` at most."""
        async with self._names_lock:
            if self._clock.now().boot_secs - self._names_secs >= NAMES_AGE_SECS:
                self._names = await self._in_time(self._stored.names())
                self._names_secs = self._clock.now().boot_secs
        return tuple(sorted(self._names.difference(self._groups)))

    async def _readable_former(self) -> tuple[str, ...]:
        """Those of the groups that are not configured whose records can be read; of the others, the log has each once.

        A record that some other program has left must not keep operators from seeing and freeing all other slots.
        """
        readable = list[str]()
        for name in await self._former_groups():
            try:
                await (await self._former(name)).view()
            except TidegateError as error:
                if error.kind is not ErrorKind.COORDINATOR_STORE_NONSENSE:
                    raise
                self._note_unreadable(name, error)
            else:
                readable.append(name)
        return tuple(readable)

    def _note_unreadable(self, name: str, error: TidegateError) -> None:
        if name not in self._unreadable:
            self._unreadable.add(name)
            _log.warning("group %s, which is not configured, is left out: %s", name, error)

    async def _former(self, name: str) -> Combiner:
        """The combiner of a group that is not configured. It leaves the number of slots in the store as it is."""
        if name not in self._combiners:
            version = await self._in_time(self._stored.read(name))
            rules = Rules(version.state.semaphore.slots)
            self._combiners.setdefault(name, Combiner(name, self._stored, rules, self._setting))
        return self._combiners[name]

    def _set_rules(self, groups: Mapping[str, Rules], default_group: str | None) -> None:
        """Keep the combiner of a removed group: calls may be queued in it, and the group may be configured again."""
        for name, rules in groups.items():
            if name in self._combiners:
                self._combiners[name].rules = rules
            else:
                self._combiners[name] = Combiner(name, self._stored, rules, self._setting)
        self._groups, self._default_group = tuple(groups), default_group
        self._names_secs = float("-inf")

    def _sync_slots(self) -> None:
        for name in self._groups:
            task = asyncio.create_task(_sync_group(name, self._combiners[name]), name=f"slots of {name}")
            self._sync_tasks.add(task)
            task.add_done_callback(self._sync_tasks.discard)


async def _sync_group(group: str, combiner: Combiner) -> None:
    """Write the group's slots to its record. A failure is only logged: every later change writes them as well."""
    try:
        await combiner.submit(SyncSlots())
    except TidegateError as error:
        _log.warning("group %s: its number of slots is not in the store yet: %s", group, error)


async def _view(name: str, combiner: Combiner) -> GroupView:
    version, denials = await combiner.view()
    return GroupView(name, combiner.rules, tuple(version.state.semaphore.holders.values()), denials)
