"""Test that what answers at the store's address compares before it swaps.

A gateway that ignores a key of a request would swap without comparing, and two hosts would get the same slot. So the
bodies of :mod:`.gateway` are tested before the first swap, on a random key.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence

from tidegate.coordinator.store.base import PREFIX, CompareSet, Delete, Put, Range, nonsense
from tidegate.coordinator.store.etcd.gateway import Operation, TxnReply

Txn = Callable[[CompareSet, Sequence[Operation], Sequence[Operation]], Awaitable[TxnReply]]

_NEVER = 2**62
"""A revision that no store reaches."""


async def prove(txn: Txn) -> None:
    """Try comparisons that hold and comparisons that do not.

    Raises:
        TidegateError: ``coordinator.store-nonsense``: it does not compare. Or the store does not answer.
    """
    key = f"{PREFIX}tidegate/v1/proof/{secrets.token_hex(8)}"
    try:
        await _prove(txn, key)
    finally:
        await txn({}, (Delete(key),), ())


async def _prove(txn: Txn, key: str) -> None:
    _expect(await txn({key: _NEVER}, (Put(key, "wrong"),), (Range(key),)), succeeded=False, value=None)
    created = await txn({key: 0}, (Put(key, "created"), Range(key)), ())
    _expect(created, succeeded=True, value=b"created")
    _expect(await txn({key: 0}, (Put(key, "wrong"),), (Range(key),)), succeeded=False, value=b"created")
    swapped = await txn({key: created.revision}, (Put(key, "swapped"), Range(key)), ())
    _expect(swapped, succeeded=True, value=b"swapped")
    stale = await txn({key: created.revision}, (Put(key, "wrong"),), (Range(key),))
    _expect(stale, succeeded=False, value=b"swapped")


def _expect(reply: TxnReply, *, succeeded: bool, value: bytes | None) -> None:
    found = [one.value for one in reply.ranges[0]] if reply.ranges else []
    if reply.succeeded is not succeeded or found != ([] if value is None else [value]):
        message = "what answers at coordinator.store does not compare before it swaps, as etcd 3.4 and later do"
        raise nonsense(message, "no locks are granted on it; check that it is etcd itself, not a proxy that rewrites")
