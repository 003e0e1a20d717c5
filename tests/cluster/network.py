"""Network namespaces on a bridge, one for each process, that can be cut off one by one.

All of it lives in the namespaces of the caller, who must be in new ones for network, processes and mounts
(``python -m tests.cluster`` sees to it). The kernel takes everything away when the last process there ends, however it
ends: nothing has a name that could be left behind.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

BRIDGE = "lab"
SUBNET = "10.77.0"
HERE = f"{SUBNET}.1"
"""Where the load comes from."""

COMMAND_SECS = 10.0

ISOLATED = ("unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child=KILL", "--propagation=private", "--")
"""Before a command that is to have a lab: everything that it starts dies with it."""


class NetworkError(Exception):
    """A step of the set-up failed."""


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace with one address. It exists as long as the process that keeps it."""

    name: str
    address: str
    keeper: subprocess.Popen[bytes]

    @property
    def enter(self) -> tuple[str, ...]:
        """What to put before a command that is to run there."""
        return ("nsenter", f"--net=/proc/{self.keeper.pid}/ns/net", "--")

    def cut(self) -> None:
        """Unplug it: every packet from and to it is lost."""
        _ip("link", "set", self.name, "down")

    def join(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self.name, "up")

    def mute(self, addresses: Iterable[str]) -> None:
        """Lose what it sends to these: their requests arrive and are served, and no reply comes."""
        for address in addresses:
            _ip("route", "replace", "blackhole", f"{address}/32", within=self)

    def unmute(self, addresses: Iterable[str]) -> None:
        """Let them hear it again."""
        for address in addresses:
            _ip("route", "del", "blackhole", f"{address}/32", within=self)


def open_bridge() -> None:
    """The bridge and the caller's own address on it."""
    _ip("link", "set", "lo", "up")
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("address", "add", f"{HERE}/24", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")


def open_place(name: str, number: int) -> Place:
    """A namespace behind the bridge. ``number``: the last part of its address."""
    keeper = subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo; exec sleep infinity"], stdout=-1)
    assert keeper.stdout is not None
    keeper.stdout.readline()  # from now on its namespace is the new one
    keeper.stdout.close()
    place = Place(name, f"{SUBNET}.{number}", keeper)
    _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(keeper.pid))
    _ip("link", "set", name, "master", BRIDGE, "up")
    _ip("link", "set", "lo", "up", within=place)
    _ip("address", "add", f"{place.address}/24", "dev", "eth0", within=place)
    _ip("link", "set", "eth0", "up", within=place)
    return place


def _ip(*arguments: str, within: Place | None = None) -> None:
    command = [*(within.enter if within else ()), "ip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECS, check=False)
    if done.returncode != 0:
        raise NetworkError(f"{' '.join(command)}: {done.stderr.strip()}")
