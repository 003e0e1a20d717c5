"""A lock server as the agent knows it: the account to ask it with, its answers, and the settings of the strategy."""

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
    """Where the lock is, who asks for it, and how.

    All of it goes into the lock record: a lock is given back with what it was taken with, whatever the configuration
    says by then. ``token_file``, ``ca_file`` and the client's certificate are paths; their content stays where it is.
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
        """The address as people and journals may read it."""
        return without_password(self.base_url)

    @property
    def place(self) -> str:
        """Which slot this is about: one request at a time for each."""
        return f"{self.id} in group {self.group} at {self.server}"


class LockRelease(StrEnum):
    """When a lock is given back after the reboot that it was taken for."""

    AFTER_HEALTH = "after-health"
    AFTER_BOOT = "after-boot"


@dataclass(frozen=True, slots=True)
class FleetLocking:
    """The strategy ``fleet_lock``: whom to ask, and what goes into the lock record."""

    account: LockAccount
    release: str = LockRelease.AFTER_HEALTH
    tells: bool = False


@dataclass(frozen=True, slots=True)
class LockGranted:
    """The host has a slot, as of now or as before."""


@dataclass(frozen=True, slots=True)
class LockBusy:
    """The server says that there is no slot now. The host has none."""

    reason: str
    retry_after_secs: float | None = None


@dataclass(frozen=True, slots=True)
class LockReleased:
    """The host has no slot (any more). ``detail`` is for people, where the server had more to say than yes."""

    detail: str = ""


class LockServer(Protocol):
    """A FleetLock server.

    Raises:
        TidegateError: ``lock.unreachable`` (the request never left the host), ``lock.refused`` (the server turned the
            request down: wrong group, credentials, address) and ``lock.nonsense`` (whoever answered is no lock server,
            or not the one meant): the host has no slot by it. ``lock.uncertain``, or any other kind: the request may
            have been carried out.
    """

    async def acquire(self, account: LockAccount, update: UpdateParams | None) -> LockGranted | LockBusy:
        """Ask for a slot."""
        ...

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        """Give the slot back, if there is one. That another host holds the only slot means that this one does not."""
        ...


NOT_TAKEN = frozenset({ErrorKind.LOCK_UNREACHABLE, ErrorKind.LOCK_REFUSED, ErrorKind.LOCK_NONSENSE})
"""Kinds of error after which a slot was certainly not taken."""
