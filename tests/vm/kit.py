"""Where every story begins: a disk with release 1 on it, and the releases that a server offers to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.agent_host import GRAPH, REPO
from tests.e2e.lab.cache import digest
from tests.e2e.lab.debian import BaseHost, host_base
from tests.e2e.lab.depot import Depot, Extra, File, Link, Release, open_depot
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.layer import agent_layer
from tests.e2e.lab.process import must
from tests.e2e.lab.server import Server
from tests.e2e.lab.sysroot import Remote, Sysroot, make_sysroot
from tests.e2e.lab.wheels import wheelhouse
from tests.e2e.world import MIB, PICKY
from tests.vm.base import HARNESS, VIRTUAL_MACHINE
from tests.vm.disk import make_disk
from tests.vm.initramfs import initramfs_layer, kernel_version

CHECKOUT = Path(__file__).resolve().parents[2]
KEPT_PER_SUITE = 4  # with and without scripts, of this checkout and of the one that it is compared with
PORT = 8080
MACHINE_ID = "0123456789abcdef0123456789abcdef"
BALLAST_BYTES = 4 * MIB  # enough to be cut while it is pulled; hashing it is work for an emulated processor
KARGS = ("root=LABEL=root", "rw", "console=ttyS0", "loglevel=4")

# Retries that an emulated processor on a busy machine does not exhaust while it boots.
CONFIGURATION = f"""\
[agent.timing]
steady_interval_secs = 5
[discovery.static_graph]
url = "http://{HARNESS}:{PORT}{GRAPH}"
[updates]
strategy = "immediate"
[gates.clock]
require = "never"
[health]
monitor_secs = 20
interval_secs = 3
start_delay_secs = 15
retries = 15
failure_action = "rollback"
"""

# Holds shutdowns back once in the life of a host, from the moment at which something is written to /boot: what was
# armed for a rollback is then taken back by the last look at the gates.
HOLD_PATH = "[Path]\nPathChanged=/boot\n"
HOLD = """\
[Unit]
ConditionPathExists=!/var/lib/held-back
[Service]
ExecStartPre=/usr/bin/touch /var/lib/held-back
ExecStart=/usr/bin/systemd-inhibit --what=shutdown --who=backup --why=copying sleep 25
"""


@dataclass(frozen=True, slots=True)
class Kit:
    """A finished kit in the cache; its files are only ever to be read."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The image of a disk with release 1, never booted."""
        return self.folder / "disk.img"

    @property
    def versions(self) -> dict[str, str]:
        """The version of each payload."""
        known: dict[str, str] = json.loads((self.folder / "releases.json").read_text())
        return known

    def payload(self, version: str) -> str:
        """The payload of a version."""
        return next(payload for payload, known in self.versions.items() if known == version)

    def offer(self, server: Server, version: str) -> None:
        """Serve the repository, and a graph that leads from release 1 to ``version``."""
        server.mount(REPO, self.folder / "archive")
        server.put(GRAPH, (self.folder / f"to-{version}.json").read_bytes())


def kit_for(lab: Lab, suite: str, scripts: Sequence[Path] = ()) -> Kit:
    """The kit of a suite for the checkout as it is; ``scripts`` go into the initramfs of all releases.

    Minutes the first time, half a minute when the agent has changed, nothing when it has not.

    Raises:
        LabError: something could not be built.
    """
    base = host_base(lab.cache, suite, VIRTUAL_MACHINE)
    agent = agent_layer(lab.cache, base, wheelhouse(lab.cache, CHECKOUT, suite))
    initramfs = initramfs_layer(lab.cache, base, scripts)
    sources = [Path(__file__).with_name(name).read_bytes() for name in ("kit.py", "disk.py")]
    key = digest(base.key, agent.name, initramfs.name, *sources)

    def build(into: Path) -> None:
        lab.cache.say(f"building releases and a disk, Debian {suite}")
        _build(lab, base, [agent, initramfs], into)

    return Kit(lab.cache.entry(f"vm-kit-{suite}", key, build, keep=KEPT_PER_SUITE))


def _build(lab: Lab, base: BaseHost, layers: Sequence[Path], into: Path) -> None:
    depot = open_depot(lab, base, layers=layers)
    releases = _releases(depot, layers[1])
    first = releases[0]
    for release in releases:
        graph = into / f"to-{release.version}.json"
        for step in dict.fromkeys((first, release)):
            depot.publish(step, graph)
    (into / "releases.json").write_text(json.dumps({r.payload: r.version for r in releases}))
    sysroot = make_sysroot(lab, first, Remote(f"http://{HARNESS}:{PORT}{REPO}"), kargs=KARGS)
    _personalize(sysroot)
    make_disk(sysroot, into / "disk.img")
    must(["cp", "-al", depot.archive, into / "archive"])


def _personalize(sysroot: Sysroot) -> None:
    """Name the host, and let its repository write through to the disk as a real one does."""
    etc = sysroot.entries()[0].deployment / "etc"
    (etc / "hostname").write_text("host\n")
    (etc / "machine-id").write_text(f"{MACHINE_ID}\n")
    sysroot.ostree("config", "unset", "core.fsync")


def _releases(depot: Depot, initramfs: Path) -> list[Release]:
    """Release 1, a good one (2), one that is not well (2u), and one that is not well and holds its rollback back (2d).

    Each has an initramfs of its own, so that kernels are copied to /boot.
    """
    in_release = f"usr/lib/modules/{kernel_version(depot.base)}/initramfs.img"
    image = (initramfs / in_release).read_bytes()
    common: dict[str, Extra] = {"/etc/tidegate/config.d/50-vm.toml": File(CONFIGURATION)}
    ballast: dict[str, Extra] = {**common, "/usr/lib/ballast": File(_ballast())}
    unwell: dict[str, Extra] = {
        **ballast,
        "/etc/systemd/system/picky.service": File(PICKY),
        "/etc/systemd/system/boot-complete.target.requires/picky.service": Link("../picky.service"),
    }
    held: dict[str, Extra] = {
        **unwell,
        "/etc/systemd/system/hold.service": File(HOLD),
        "/etc/systemd/system/hold.path": File(HOLD_PATH),
        "/etc/systemd/system/multi-user.target.wants/hold.path": Link("../hold.path"),
    }
    contents = {"1": common, "2": ballast, "2u": unwell, "2d": held}
    return [
        depot.release(version, {**extras, f"/{in_release}": File(image + bytes(512 * number))})
        for number, (version, extras) in enumerate(contents.items())
    ]


def _ballast() -> str:
    return "".join(f"{number * 2654435761 % 2**64:016x}" for number in range(BALLAST_BYTES // 16))
