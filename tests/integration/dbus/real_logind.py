"""The host's own systemd-logind on a private bus, beside a systemd that only takes notes.

It runs in a mount namespace with a /run of its own: it writes to /run/systemd, and the host's must not notice. What it
wants done in the end, a start of ``reboot.target``, is asked of the fake on the same bus.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.private_bus import PrivateBus, private_bus
from tests.fakes.systemd1 import FakeSystemd1
from tidegate.bus.bus import Bus
from tidegate.services.logind import MANAGER

PROGRAM = Path("/lib/systemd/systemd-logind")
UNDER_ITS_OWN_RUN = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/dbus /run/udev && exec " + str(
    PROGRAM
)
NOBODY = 65534


def missing() -> str:
    """Why it cannot run here; empty where it can."""
    if os.geteuid() != 0:
        return "needs root"
    if not PROGRAM.exists():
        return f"{PROGRAM} is not installed"
    for program in ("dbus-daemon", "unshare"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    probe = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"], check=False)
    return "mount namespaces are not allowed here" if probe.returncode != 0 else ""


@dataclass(frozen=True, slots=True)
class RealLogind:
    """A running logind: ``bus`` is root's connection to where it listens."""

    daemon: PrivateBus
    bus: Bus
    systemd: FakeSystemd1
    process: subprocess.Popen[bytes]

    async def inhibit(self, mode: str, who: str = "backup", why: str = "backup running") -> int:
        """Hold shutdowns back until the descriptor is closed."""
        (lock,) = await self.bus.call(MANAGER, "Inhibit", "ssss", "shutdown", who, why, mode, returns="h")
        assert isinstance(lock, int)
        return lock


@asynccontextmanager
async def real_logind() -> AsyncGenerator[RealLogind]:
    """Start it, and take everything down again."""
    with private_bus() as daemon, _process(daemon) as process:
        systemd, beside = FakeSystemd1(), await Bus.connect(daemon.address)
        await systemd.serve(beside)
        bus = await Bus.connect(daemon.address)
        try:
            while not await bus.has_owner(MANAGER.destination):
                assert process.poll() is None, "systemd-logind ended by itself"
                await asyncio.sleep(0.01)
            yield RealLogind(daemon, bus, systemd, process)
        finally:
            await bus.close()
            await beside.close()


@contextmanager
def _process(daemon: PrivateBus) -> Generator[subprocess.Popen[bytes]]:
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", UNDER_ITS_OWN_RUN]
    environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": daemon.address}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


async def connect_as(uid: int, address: str) -> Bus:
    """A connection of another user: the daemon looks at who connects, once."""
    os.setresuid(uid, uid, 0)
    try:
        return await Bus.connect(address)
    finally:
        os.setresuid(0, 0, 0)


async def gone(bus: Bus, name: str) -> None:
    """Wait until nobody is behind ``name``."""
    while await bus.has_owner(name):  # there is one event for all names
        await asyncio.sleep(0.01)
