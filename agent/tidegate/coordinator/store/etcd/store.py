"""A store of documents in etcd, shared by several coordinators."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tidegate.coordinator.store.base import PREFIX, CompareSet, Put, Range, Snapshot, Swapped, Write, nonsense
from tidegate.coordinator.store.etcd.client import EtcdClient
from tidegate.coordinator.store.etcd.gateway import TXN_PATH, Keys, Operation, TxnReply, txn_body, txn_reply
from tidegate.coordinator.store.etcd.proof import prove
from tidegate.errors import TidegateError
from tidegate.jsonread import ShapeError

_PROBE = f"{PREFIX}tidegate/v1/probe"


class EtcdStore:
    """A :class:`~tidegate.coordinator.store.base.Store` in etcd; each request is one transaction."""

    def __init__(self, client: EtcdClient) -> None:
        self._client = client
        self._is_proved = False
        self._proving = asyncio.Lock()

    async def read(self, ranges: Sequence[Range]) -> Snapshot:
        """Read linearizably: through a quorum, not from one member."""
        reply = await self._proved_txn({}, ranges)
        return Snapshot(reply.revision, reply.ranges)

    async def keys(self, within: Range) -> tuple[str, ...]:
        """Read the keys only."""
        reply = await self._proved_txn({}, (Keys(within),))
        return tuple(document.key for document in reply.ranges[0])

    async def swap(self, compare: CompareSet, writes: Sequence[Write], ranges: Sequence[Range]) -> Swapped | Snapshot:
        """Compare modification revisions, which do not restart when a key is deleted and created again."""
        reply = await self._proved_txn(compare, writes, ranges)
        return Swapped(reply.revision) if reply.succeeded else Snapshot(reply.revision, reply.ranges)

    async def check(self) -> None:
        """Write a probe: an etcd whose database is full, or without a quorum, could still be read."""
        await self._proved_txn({}, (Put(_PROBE, ""),))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def unreadable(self, key: str, why: str) -> TidegateError:
        """Name the key, and how to see and delete it."""
        return nonsense(f"etcd key {key}: {why}", f"check who wrote it (etcdctl get {key}), or delete it to start anew")

    async def prove(self) -> None:
        """Run :func:`.proof.prove` unless it has succeeded before; every request does so first."""
        async with self._proving:
            if not self._is_proved:
                await prove(self._txn)
                self._is_proved = True

    async def _proved_txn(
        self, compare: CompareSet, success: Sequence[Operation], failure: Sequence[Operation] = ()
    ) -> TxnReply:
        if not self._is_proved:
            await self.prove()
        return await self._txn(compare, success, failure)

    async def _txn(self, compare: CompareSet, success: Sequence[Operation], failure: Sequence[Operation]) -> TxnReply:
        document = await self._client.post(TXN_PATH, txn_body(compare, success, failure))
        try:
            return txn_reply(document)
        except ShapeError as error:
            remedy = "check what answers at coordinator.store"
            raise nonsense(f"not the gateway of etcd: {error}", remedy) from error
