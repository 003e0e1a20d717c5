"""A FleetLock server over HTTP, as the agent has it: a net-worker does the talking."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import UpdateParams, Verb
from tidegate.fleetlock.wire import LockEvent, LockRequest, UnlockEvent
from tidegate.net.client import NetClient


@dataclass(frozen=True, slots=True)
class NetLock:
    """A :class:`~tidegate.fleetlock.account.LockServer`: each request in a worker of its own, sent at most once.

    ``LockAccount.timeout_secs`` bounds the whole.
    """

    net: NetClient

    async def acquire(self, account: LockAccount, update: UpdateParams | None) -> LockGranted | LockBusy:
        """Ask for a slot; errors as the protocol has them, and ``net.worker-failed``."""
        return (await self.net.run(LockRequest(Verb.PRE_REBOOT, account, update), LockEvent)).answer

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        """Give the slot back; errors as the protocol has them, and ``net.worker-failed``."""
        return (await self.net.run(LockRequest(Verb.STEADY_STATE, account, update), UnlockEvent)).answer
