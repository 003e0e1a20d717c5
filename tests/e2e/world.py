"""What most stories of whole hosts begin with: two releases, of which the first is out, and hosts that run it."""

from __future__ import annotations

from functools import cache
from typing import Protocol

from tests.e2e.agent_host import AgentHost, Source, version_of
from tests.e2e.lab.depot import Depot, Extra, File, Link, Release
from tests.e2e.lab.disk import Disk
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.server import Server
from tests.e2e.lab.sysroot import Remote

MIB = 1024 * 1024
BALLAST_BYTES = 24 * MIB
MANUAL = "[updates]\nenabled = false\n"
PICKY = """\
[Unit]
Before=boot-complete.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/test -e /run/mended
"""


class MachineFactory(Protocol):
    """Makes a machine with a fresh disk, switched off."""

    def __call__(
        self, release: Release, name: str = "host", *, remote: Remote | None = None, disk: Disk | None = None
    ) -> Machine:
        """A machine on which ``release`` is installed; its remote is the test's server unless another is given."""
        ...


class World:
    """Two releases, of which the first is out, and hosts that run it."""

    def __init__(self, depot: Depot, server: Server, new_machine: MachineFactory) -> None:
        self.old = depot.release("1")
        self.new = depot.release("2", {"/usr/lib/ballast": File(_ballast())})
        self.source = Source.of(depot, server, self.old)
        self.server = server
        self.depot = depot
        self.new_machine = new_machine

    def host(self, release: Release | None = None, name: str = "host") -> AgentHost:
        """A host that is switched off."""
        return AgentHost(self.new_machine(release or self.old, name))

    def picky_release(self) -> Release:
        """A release whose boot completes only when somebody has mended it: ``touch /run/mended``."""
        extras: dict[str, Extra] = {
            "/etc/systemd/system/picky.service": File(PICKY),
            "/etc/systemd/system/boot-complete.target.requires/picky.service": Link("../picky.service"),
        }
        return self.depot.release("2p", extras)

    def on_first(self, host: AgentHost) -> bool:
        """Whether ``host`` still runs its first boot, of the first release."""
        return len(host.machine.boots) == 1 and version_of(host.snapshot() or {}, "booted") == self.old.version

    def started(self, extra: str = "") -> AgentHost:
        """A host that runs the first release and has nothing to do."""
        host = self.host()
        host.start(self.source, extra)
        return host


@cache
def _ballast() -> str:
    """Text that makes a release large and does not compress to nothing."""
    return "".join(f"{number * 2654435761 % 2**64:016x}" for number in range(BALLAST_BYTES // 16))
