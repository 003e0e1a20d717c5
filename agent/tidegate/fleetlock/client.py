"""The agent's FleetLock client: each request runs in a net-worker."""

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
        """Request a slot.

        Raises:
            TidegateError: as of :class:`~tidegate.fleetlock.account.LockServer`; ``net.worker-failed``.
        """
        return (await self.net.run(LockRequest(Verb.PRE_REBOOT, account, update), LockEvent)).answer

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        """Release the slot.

        Raises:
            TidegateError: as of :class:`~tidegate.fleetlock.account.LockServer`; ``net.worker-failed``.
        """
        return (await self.net.run(LockRequest(Verb.STEADY_STATE, account, update), UnlockEvent)).answer
