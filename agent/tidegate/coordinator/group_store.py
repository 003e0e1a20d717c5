"""Groups in a store: versions of a group's state, changed by compare-and-swap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from tidegate.coordinator.group_records import (
    GROUPS,
    GroupKeys,
    Ledger,
    RecordError,
    after_write,
    read_group,
    read_history,
    write_group,
)
from tidegate.coordinator.group_state import Change, GroupState
from tidegate.coordinator.model import AuditEvent
from tidegate.coordinator.store.base import Snapshot, Store, Swapped, below


class Version(Protocol):
    """A group's state at a revision of the store. Immutable, so that an old version may be kept.

    Raises:
        TidegateError: as of :class:`~tidegate.coordinator.store.base.Store`; ``coordinator.store-nonsense`` also for a
            document that cannot be parsed, which is left unchanged.
    """

    @property
    def state(self) -> GroupState:
        """The state."""
        ...

    @property
    def revision(self) -> int:
        """The revision of the semaphore: higher after every change; 0 before the first."""
        ...

    async def confirmed(self) -> Version:
        """This same object if it is still the current version, by a linearizable read; else the current one."""
        ...

    async def swap(self, change: Change) -> Replaced | Conflict:
        """Write ``change`` in place of this version if that is still the current one."""
        ...


@dataclass(frozen=True, slots=True)
class Replaced:
    """The change is written; ``version`` is the new one."""

    version: Version


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing was written, since another server has changed the group; ``version`` is the current one."""

    version: Version


class Groups(Protocol):
    """The groups of a store. Raises as :class:`Version` does."""

    async def read(self, group: str) -> Version:
        """The current version, by a linearizable read."""
        ...

    async def names(self) -> frozenset[str]:
        """The groups that have a semaphore, configured or not."""
        ...

    async def history(self, group: str, limit: int) -> tuple[AuditEvent, ...]:
        """The latest audit events of the group, newest first."""
        ...

    async def check(self) -> None:
        """Check that the store can be read and written."""
        ...


@dataclass(frozen=True, slots=True)
class StoredGroups:
    """:class:`Groups` in a store of documents, which stays the caller's to close."""

    store: Store

    async def read(self, group: str) -> StoredVersion:
        """Read the documents of a group."""
        return self.version(group, await self.store.read(GroupKeys(group).group_ranges))

    async def names(self) -> frozenset[str]:
        """Read the keys of all groups."""
        found = map(GroupKeys.group_of, await self.store.keys(below(GROUPS)))
        return frozenset(name for name in found if name is not None)

    async def history(self, group: str, limit: int) -> tuple[AuditEvent, ...]:
        """Read the ring of audit events."""
        snapshot = await self.store.read((below(GroupKeys(group).history),))
        try:
            return read_history(group, snapshot.ranges[0])[:limit]
        except RecordError as error:
            raise self.store.unreadable(error.key, error.why) from error

    async def check(self) -> None:
        """Check the store."""
        await self.store.check()

    def version(self, group: str, snapshot: Snapshot) -> StoredVersion:
        """The version in a snapshot of the group's ranges.

        Raises:
            TidegateError: ``coordinator.store-nonsense``: a document cannot be parsed.
        """
        try:
            state, ledger = read_group(GroupKeys(group), snapshot)
        except RecordError as error:
            raise self.store.unreadable(error.key, error.why) from error
        return StoredVersion(state, ledger, group, self)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A :class:`Version` in a store of documents."""

    state: GroupState
    ledger: Ledger
    group: str
    groups: StoredGroups = field(repr=False)

    @property
    def revision(self) -> int:
        """The revision of the semaphore's document."""
        return self.ledger.semaphore_revision

    async def confirmed(self) -> StoredVersion:
        """Compare without a write."""
        keys = GroupKeys(self.group)
        result = await self.groups.store.swap(self.ledger.compare_set(keys), (), keys.group_ranges)
        return self if isinstance(result, Swapped) else self.groups.version(self.group, result)

    async def swap(self, change: Change) -> Replaced | Conflict:
        """Compare and write in one request, which reads the group if the comparison fails."""
        keys = GroupKeys(self.group)
        writes = write_group(keys, self.ledger, change)
        result = await self.groups.store.swap(self.ledger.compare_set(keys), writes, keys.group_ranges)
        if not isinstance(result, Swapped):
            return Conflict(self.groups.version(self.group, result))
        ledger = after_write(self.ledger, change, result.revision)
        return Replaced(StoredVersion(change.state, ledger, self.group, self.groups))
