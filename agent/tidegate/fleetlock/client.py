"""The agent's FleetLock client: each request runs in a net-worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tidegate import __version__
from tidegate.clock import Clock
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import UpdateParams, Verb
from tidegate.fleetlock.wire import LockEvent, LockRequest, ProbeEvent, ProbeRequest, UnlockEvent, no_lock_server
from tidegate.net.client import NetClient

CONFLICT_PAUSES_SECS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""The longest pause before each retry after a conflict in the server's store. Of any number of clients in conflict, one
succeeds each time; the random pauses keep them from meeting again."""

_AT_ONCE_SECS = 0.0
_WRONG_SERVER = "check that updates.fleet_lock.base_url is the lock server itself, not a login or error page"


@dataclass(frozen=True, slots=True)
class ThisBoot:
    """The boot that this process runs in: its id, and when it began on the boot clock."""

    boot_id: str
    began_secs: float
    clock: Clock

    def told_beside(self, update: UpdateParams | None) -> UpdateParams:
        """``update`` with what tells this host from another one with its id."""
        uptime_secs = max(0, int(self.clock.now().boot_secs - self.began_secs))
        own = update or UpdateParams(agent=f"tidegate/{__version__}")
        return replace(own, boot_id=self.boot_id.replace("-", ""), uptime_secs=uptime_secs)


class NetLock:
    """A :class:`~tidegate.fleetlock.account.LockServer`: each request in a worker of its own.

    ``LockAccount.timeout_secs`` bounds each. A request is sent again only where the server answered that it was not
    carried out, because of a conflict in its store.

    Before its first request, a server is probed (:mod:`.probe`). One that says yes to the probe over plain HTTP is no
    lock server. One that shows the extension is told the boot, if there is a ``boot``, and the ``update``; others are
    not. A probe without an answer proves nothing: the request is sent, and the server probed again before the next one.
    """

    def __init__(self, net: NetClient, boot: ThisBoot | None = None) -> None:
        self._net = net
        self._boot = boot
        self._probed: dict[str, ProbeEvent] = {}

    async def acquire(self, account: LockAccount, update: UpdateParams | None) -> LockGranted | LockBusy:
        """Request a slot.

        Raises:
            TidegateError: as of :class:`~tidegate.fleetlock.account.LockServer`; ``net.worker-failed``.
        """
        request = LockRequest(Verb.PRE_REBOOT, account, await self._told(account, update))
        for pause_secs in _pauses():
            answer = (await self._net.run(request, LockEvent)).answer
            if not isinstance(answer, LockBusy) or answer.retry_after_secs != _AT_ONCE_SECS:
                return answer
            await asyncio.sleep(pause_secs)
        return (await self._net.run(request, LockEvent)).answer

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        """Release the slot.

        Raises:
            TidegateError: as of :class:`~tidegate.fleetlock.account.LockServer`; ``net.worker-failed``.
        """
        request = LockRequest(Verb.STEADY_STATE, account, await self._told(account, update))
        for pause_secs in _pauses():
            try:
                return (await self._net.run(request, UnlockEvent)).answer
            except TidegateError as error:
                if error.retry_after_secs != _AT_ONCE_SECS:
                    raise
            await asyncio.sleep(pause_secs)
        return (await self._net.run(request, UnlockEvent)).answer

    async def _told(self, account: LockAccount, update: UpdateParams | None) -> UpdateParams | None:
        """The parameters to send to the server, which is probed unless it was before.

        Raises:
            TidegateError: ``lock.nonsense``; it is no lock server.
        """
        found = self._probed.get(account.base_url) or await self._probe(account)
        if found is None or not found.extended:
            return None
        return update if self._boot is None else self._boot.told_beside(update)

    async def _probe(self, account: LockAccount) -> ProbeEvent | None:
        try:
            found = await self._net.run(ProbeRequest(account), ProbeEvent)
        except TidegateError:
            return None
        if found.accepts and account.base_url.lower().startswith("http:"):
            raise TidegateError(ErrorKind.LOCK_NONSENSE, no_lock_server(account, found), _WRONG_SERVER)
        if found.refuses or found.accepts:
            self._probed[account.base_url] = found
        return found


def _pauses() -> Iterator[float]:
    for longest_secs in CONFLICT_PAUSES_SECS:
        yield random.uniform(0, longest_secs)  # noqa: S311 - no secret
