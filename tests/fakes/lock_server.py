"""FleetLock servers in memory, with the manners that all real ones share.

A group has slots; whoever holds one is granted it again, however few slots there are by then; giving back what one does
not hold is a success. What they differ in can be chosen: see :class:`FakeLockServer`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import UpdateParams, Verb

ACCOUNT = LockAccount("https://lock.example/", "web", "0123456789abcdef0123456789abcdef", 30.0)
ELSEWHERE = LockAccount("https://other.example/", "db", ACCOUNT.id, 10.0, token_file="/etc/tidegate/token")
RIVAL = "fedcba9876543210fedcba9876543210"
"""The id of another host of the same group."""


@dataclass
class FakeLockServer:
    """One server. ``retry_after_secs`` goes with each "busy".

    ``strict``: as poseidon/fleetlock, it says 423 to a steady-state while another host has the only slot.
    """

    slots: int = 1
    retry_after_secs: float | None = None
    strict: bool = False
    holders: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    heard: list[tuple[Verb, str]] = field(default_factory=list[tuple[Verb, str]])
    told: list[UpdateParams | None] = field(default_factory=list[UpdateParams | None])

    def pre_reboot(self, group: str, host: str) -> LockGranted | LockBusy:
        """May ``host`` reboot?"""
        self.heard.append((Verb.PRE_REBOOT, host))
        held = self.holders[group]
        if host in held:
            return LockGranted()
        if len(held) >= self.slots:
            return LockBusy(f"all {self.slots} semaphore slots currently locked", self.retry_after_secs)
        held.append(host)
        return LockGranted()

    def steady_state(self, group: str, host: str) -> LockReleased:
        """``host`` is well again."""
        self.heard.append((Verb.STEADY_STATE, host))
        held = self.holders[group]
        if host in held:
            held.remove(host)
            return LockReleased()
        return LockReleased("423: another host has it") if self.strict and held else LockReleased()

    def counts(self, host: str) -> bool:
        """Whether ``host`` has a slot of any group."""
        return any(host in held for held in self.holders.values())

    def forget(self) -> None:
        """It was set up anew, or restored from an old backup."""
        self.holders.clear()


@dataclass
class FakeLocks:
    """The way to the servers: :class:`tidegate.fleetlock.account.LockServer` by address."""

    servers: dict[str, FakeLockServer] = field(default_factory=lambda: defaultdict(FakeLockServer))

    async def acquire(self, account: LockAccount, update: UpdateParams | None) -> LockGranted | LockBusy:
        """Ask for a slot."""
        server = self.at(account)
        server.told.append(update)
        return server.pre_reboot(account.group, account.id)

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        """Give the slot back."""
        server = self.at(account)
        server.told.append(update)
        return server.steady_state(account.group, account.id)

    def at(self, account: LockAccount) -> FakeLockServer:
        """The server of ``account``."""
        return self.servers[account.base_url]


UNREACHABLE = TidegateError(
    ErrorKind.LOCK_UNREACHABLE, "https://lock.example/: connection refused", "is it up?"
).failure
REFUSED = TidegateError(
    ErrorKind.LOCK_REFUSED, "https://lock.example/: answers 403 Forbidden", "check token_file"
).failure
NONSENSE = TidegateError(ErrorKind.LOCK_NONSENSE, "https://lock.example/: answers with a login page").failure
UNCERTAIN = TidegateError(ErrorKind.LOCK_UNCERTAIN, "https://lock.example/: no answer within 30 s").failure
GONE = TidegateError(ErrorKind.NET_WORKER_FAILED, "the net-worker was killed by signal 9").failure
