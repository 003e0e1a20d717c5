"""Semaphores in etcd: several coordinators on one record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tidegate.coordinator.model import AuditEvent, Change, Semaphore
from tidegate.coordinator.store.base import Conflict, Swapped, nonsense
from tidegate.coordinator.store.etcd.client import EtcdClient
from tidegate.coordinator.store.etcd.gateway import (
    TXN_PATH,
    Compare,
    Operation,
    Put,
    TxnReply,
    below,
    txn_body,
    txn_reply,
)
from tidegate.coordinator.store.etcd.proof import prove
from tidegate.coordinator.store.etcd.records import (
    PREFIX,
    GroupKeys,
    Ledger,
    after_write,
    read_group,
    read_history,
    write_group,
)
from tidegate.jsonread import ShapeError

_PROBE = f"{PREFIX}tidegate/v1/probe"


@dataclass(frozen=True, slots=True)
class EtcdVersion:
    """A :class:`~.base.Version`."""

    semaphore: Semaphore
    ledger: Ledger
    group: str
    store: EtcdStore = field(repr=False)

    @property
    def revision(self) -> int:
        """Of the semaphore's key."""
        return self.ledger.semaphore_revision

    async def confirmed(self) -> EtcdVersion:
        """One transaction without a write."""
        reply = await self._unless_changed(())
        return self if reply.succeeded else self.store.version(self.group, reply)

    async def swap(self, change: Change) -> Swapped | Conflict:
        """One transaction, which reads the group where it may not write."""
        reply = await self._unless_changed(write_group(GroupKeys(self.group), self.ledger, change))
        if not reply.succeeded:
            return Conflict(self.store.version(self.group, reply))
        ledger = after_write(self.ledger, change, reply.revision)
        return Swapped(EtcdVersion(change.semaphore, ledger, self.group, self.store))

    async def _unless_changed(self, operations: Sequence[Operation]) -> TxnReply:
        keys = GroupKeys(self.group)
        return await self.store.txn(self.ledger.compares(keys), operations, keys.group_ranges)


class EtcdStore:
    """A :class:`~.base.Store` in etcd."""

    def __init__(self, client: EtcdClient) -> None:
        self._client = client
        self._is_proved = False
        self._proving = asyncio.Lock()

    async def read(self, group: str) -> EtcdVersion:
        """The current version, by the word of a majority of the members."""
        return self.version(group, await self.txn((), GroupKeys(group).group_ranges))

    async def history(self, group: str, limit: int) -> tuple[AuditEvent, ...]:
        """From the ring."""
        reply = await self.txn((), (below(GroupKeys(group).history),))
        return read_history(group, reply.ranges[0])[:limit]

    async def check(self) -> None:
        """Writes, since a full store can still be read."""
        await self.txn((), (Put(_PROBE, ""),))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def prove(self) -> None:
        """Once: see :mod:`.proof`. Everything else does it by itself before it asks anything."""
        async with self._proving:
            if not self._is_proved:
                await prove(self._txn)
                self._is_proved = True

    async def txn(
        self, compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation] = ()
    ) -> TxnReply:
        """A transaction."""
        if not self._is_proved:
            await self.prove()
        return await self._txn(compare, success, failure)

    def version(self, group: str, reply: TxnReply) -> EtcdVersion:
        """The group as ``reply`` has it."""
        semaphore, ledger = read_group(GroupKeys(group), reply)
        return EtcdVersion(semaphore, ledger, group, self)

    async def _txn(
        self, compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation]
    ) -> TxnReply:
        document = await self._client.post(TXN_PATH, txn_body(compare, success, failure))
        try:
            return txn_reply(document)
        except ShapeError as error:
            remedy = "look at what answers at coordinator.store"
            raise nonsense(f"not the gateway of etcd: {error}", remedy) from error
