"""A real dbus-daemon of one's own: a system bus on a socket in a scratch folder, gone with the context."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegate.bus.bus import DBUS, Bus

ANYTHING_GOES = """\
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>"""

CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
{policy}
</busconfig>
"""
END_SECS = 5.0


@dataclass(frozen=True, slots=True)
class PrivateBus:
    """A running daemon and how to reach it."""

    address: str
    daemon: subprocess.Popen[str]

    def kill(self) -> None:
        """The bus is gone from one moment to the next."""
        self.daemon.kill()
        self.daemon.wait(END_SECS)


@contextmanager
def private_bus(policy: str = ANYTHING_GOES) -> Generator[PrivateBus]:
    """Run a daemon while the context lasts; ``policy`` is what its configuration allows."""
    with tempfile.TemporaryDirectory(prefix="tg-bus-") as folder:  # short: socket paths end at 107 bytes
        Path(folder).chmod(0o755)  # other users connect as well
        config = Path(folder, "bus.conf")
        config.write_text(CONFIGURATION.format(folder=folder, policy=policy), encoding="utf-8")
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
            try:
                assert daemon.stdout is not None
                address = daemon.stdout.readline().strip()  # printed once the daemon listens
                assert address, "dbus-daemon did not start"
                yield PrivateBus(address, daemon)
            finally:
                daemon.kill()


@asynccontextmanager
async def connected(address: str) -> AsyncGenerator[Bus]:
    """A connection for as long as the context lasts."""
    bus = await Bus.connect(address)
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def two(address: str) -> AsyncGenerator[tuple[Bus, Bus]]:
    """Two connections: a service and its client, mostly."""
    async with connected(address) as one, connected(address) as other:
        yield one, other


async def settle(*buses: Bus) -> None:
    """Return when everything that was sent to ``buses`` before has arrived: the daemon keeps the order."""
    for bus in buses:
        await bus.call(DBUS, "GetId", returns="s")
