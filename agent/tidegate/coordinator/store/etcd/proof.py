"""Whether what answers at the store's address compares before it swaps.

A gateway that passes over a word that it does not know would swap without comparing, and two hosts would have one slot.
So the very bodies of :mod:`.gateway` are tried, on a key of nobody else's, before the first lock.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence

from tidegate.coordinator.store.base import nonsense
from tidegate.coordinator.store.etcd.gateway import Compare, Delete, Operation, Put, Range, TxnReply
from tidegate.coordinator.store.etcd.records import PREFIX

Txn = Callable[[Sequence[Compare], Sequence[Operation], Sequence[Operation]], Awaitable[TxnReply]]

_NEVER = 2**62
"""A revision that no store gets to."""


async def prove(txn: Txn) -> None:
    """Try comparisons that hold and that do not.

    Raises:
        TidegateError: ``coordinator.store-nonsense``: this must not be used. Or the store does not answer.
    """
    key = f"{PREFIX}tidegate/v1/proof/{secrets.token_hex(8)}"
    try:
        await _prove(txn, key)
    finally:
        await txn((), (Delete(key),), ())


async def _prove(txn: Txn, key: str) -> None:
    _expect(await txn((Compare(key, _NEVER),), (Put(key, "wrong"),), (Range(key),)), succeeded=False, value=None)
    made = await txn((Compare(key, 0),), (Put(key, "made"), Range(key)), ())
    _expect(made, succeeded=True, value=b"made")
    _expect(await txn((Compare(key, 0),), (Put(key, "wrong"),), (Range(key),)), succeeded=False, value=b"made")
    swapped = await txn((Compare(key, made.revision),), (Put(key, "swapped"), Range(key)), ())
    _expect(swapped, succeeded=True, value=b"swapped")
    stale = await txn((Compare(key, made.revision),), (Put(key, "wrong"),), (Range(key),))
    _expect(stale, succeeded=False, value=b"swapped")


def _expect(reply: TxnReply, *, succeeded: bool, value: bytes | None) -> None:
    found = [one.value for one in reply.ranges[0]] if reply.ranges else []
    if reply.succeeded is not succeeded or found != ([] if value is None else [value]):
        message = "what answers at coordinator.store does not compare before it swaps, as etcd 3.4 and later do"
        raise nonsense(
            message, "no locks are given out on it; see that it is etcd itself and not a proxy that rewrites"
        )
