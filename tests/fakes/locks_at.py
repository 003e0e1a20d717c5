"""Small parts for tests that run a coordinator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tests.fakes.running_coordinator import OpenLocks
from tidegate.coordinator.addresses import Address
from tidegate.coordinator.service import Locks
from tidegate.coordinator.settings import Admin, Coordinator

ANY_PORT = Address("127.0.0.1", 0)


def local(folder: Path, **changes: object) -> Coordinator:
    """Settings for a coordinator on a free port, its operators' socket in ``folder``."""
    own = Coordinator(listen=ANY_PORT, admin=Admin(socket=str(folder / "operator.sock")))
    return replace(own, **changes)  # type: ignore[arg-type]  # each test names keys that there are


def locks_opener(locks: Locks) -> OpenLocks:
    """Locks that are there already."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Locks, None]:
        yield locks

    return opened
