"""The agent's interface to a lock server: the account to use, the server's answers, and the strategy's settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tidegate.errors import ErrorKind
from tidegate.fleetlock.protocol import UpdateParams
from tidegate.printable import without_password

FLEET_LOCK = "fleet_lock"
"""The name of the strategy and of its gate: in ``explain``, in metrics, for ``--override``."""


@dataclass(frozen=True, slots=True)
class LockAccount:
    """The server's address, the group and id to lock with, and the files for TLS and authentication.

    All of it goes into the lock record: a lock is released with the account that took it, whatever the configuration
    says by then. ``token_file``, ``ca_file`` and those of the client certificate are paths; their content is not
    copied.
    """

    base_url: str
    group: str
    id: str
    timeout_secs: float
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    token_file: str | None = None

    @property
    def server(self) -> str:
        """The address without a password, for messages and logs."""
        return without_password(self.base_url)

    @property
    def place(self) -> str:
        """The slot that this account locks, for messages; there is one request in flight for each."""
        return f"{self.id} in group {self.group} at {self.server}"


class LockRelease(StrEnum):
    """When a lock is released after the reboot that it was taken for."""

    AFTER_HEALTH = "after-health"
    AFTER_BOOT = "after-boot"


@dataclass(frozen=True, slots=True)
class FleetLocking:
    """The strategy ``fleet_lock``: the account, when to release, and whether to tell servers with the extension which
    releases the host moves from and to (``tells``)."""

    account: LockAccount
    release: str = LockRelease.AFTER_HEALTH
    tells: bool = False


@dataclass(frozen=True, slots=True)
class LockGranted:
    """The host holds a slot, newly or still."""


@dataclass(frozen=True, slots=True)
class LockBusy:
    """The server has no free slot. The host holds none."""

    reason: str
    retry_after_secs: float | None = None


@dataclass(frozen=True, slots=True)
class LockReleased:
    """The host holds no slot (any more). ``detail`` is the server's text, if it sent one."""

    detail: str = ""


class LockServer(Protocol):
    """A FleetLock server.

    Raises:
        TidegateError: ``lock.unreachable`` (the request never left the host), ``lock.refused`` (the server refused the
            request: wrong group, credentials or address) and ``lock.nonsense`` (what answered is not a lock server, or
            not the configured one): no slot was taken. ``lock.uncertain``, or any other kind: the request may have been
            carried out.
    """

    async def acquire(self, account: LockAccount, update: UpdateParams | None) -> LockGranted | LockBusy:
        """Request a slot. Idempotent: a host that holds one keeps it."""
        ...

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        """Release the slot, if the host holds one. Idempotent."""
        ...


NOT_TAKEN = frozenset({ErrorKind.LOCK_UNREACHABLE, ErrorKind.LOCK_REFUSED, ErrorKind.LOCK_NONSENSE})
"""Kinds of error that prove that no slot was taken."""
