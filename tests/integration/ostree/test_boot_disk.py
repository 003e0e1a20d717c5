"""The menu that a boot loader reads from the disk, which replays no journal, beside the one that the kernel shows.

/boot is an ext4 file system with a journal on a loop device, and GRUB's own driver (``grub-fstest``) reads the image
behind it. Whatever writes the boot order has to leave, at every instant, a menu there whose releases exist.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.ostree.pretend_host import Boot, PretendHost
from tests.integration.ostree.test_ostree_host import ok, payloads, status, update
from tests.integration.ostree.tiny_os import CHECKOUT, Published, Sysroot, read_entry, run

SHUTDOWN = CHECKOUT / "systemd/tidegate-shutdown.sh"
IMAGE_BYTES = 48 << 20
FLUSHING = "/run/stub/flushing"
HELD_SYNC = f"""#!/bin/sh
mkdir -p /run/stub
: > {FLUSHING}
while [ -e {FLUSHING} ]; do sleep 0.01; done
exec /usr/bin/python3 -I -c 'import ctypes, os, sys
raise SystemExit(-ctypes.CDLL(None).syncfs(os.open(sys.argv[-1], os.O_RDONLY)))' "$@"
"""
"""In the place of sync(1): it tells that it was called, and does its work when it is let go."""
PATIENCE_SECS = 60


@dataclass(frozen=True, slots=True)
class BootDisk:
    """The file system of /boot of one sysroot."""

    image: Path
    sysroot: Sysroot

    def read_by_loader(self) -> list[str]:
        """The command lines of the menu that a boot loader finds, the default first."""
        names = self._grub("ls", "(loop0)/loader/entries/").split()
        entries = [read_entry(self._grub("cat", f"(loop0)/loader/entries/{name}")) for name in names]
        return [entry["options"] for entry in sorted(entries, key=lambda entry: -int(entry["version"]))]

    def read_by_kernel(self) -> list[str]:
        """The same as the kernel finds it."""
        entries = [read_entry(path.read_text()) for path in self.sysroot.path.glob("boot/loader/entries/*.conf")]
        return [entry["options"] for entry in sorted(entries, key=lambda entry: -int(entry["version"]))]

    def check_bootable(self) -> None:
        """The default that a boot loader would start leads to a release that is there."""
        default = self.read_by_loader()[0]
        assert self.sysroot.deployment_of(default).is_dir(), f"{default}: the host does not boot any more"

    def _grub(self, *command: str) -> str:
        return run("grub-fstest", self.image, *command)


@pytest.fixture
def disk(sysroot: Sysroot, tmp_path: Path) -> Generator[BootDisk]:
    """The sysroot, with its /boot on a file system of its own."""
    if missing := [name for name in ("grub-fstest", "mkfs.ext4", "losetup") if shutil.which(name) is None]:
        pytest.skip(f"needs {', '.join(missing)} installed")
    image, boot = tmp_path / "boot.img", sysroot.path / "boot"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(IMAGE_BYTES)
    run("mkfs.ext4", "-q", image)
    with _mounted(image, tmp_path / "filling") as filling:
        run("cp", "-a", f"{boot}/.", filling)
    with _mounted(image, boot):
        disk = BootDisk(image, sysroot)
        assert disk.read_by_loader() == disk.read_by_kernel()
        yield disk


@contextmanager
def _mounted(image: Path, place: Path) -> Generator[Path]:
    place.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no loop devices here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        for _ in range(100):  # a boot that was cut off lets go of it a little later
            if subprocess.run(["umount", place], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)


def ostree_version() -> tuple[int, int]:
    """Year and number."""
    year, number = run("ostree", "--version").split("'")[1].split(".")[:2]
    return int(year), int(number)


needs_our_flush = pytest.mark.skipif(
    shutil.which("ostree") is not None and ostree_version() >= (2025, 2), reason="this ostree flushes /boot by itself"
)


def shut_down(boot: Boot) -> None:
    """What systemd does: ostree's unit, then ours."""
    assert "Bootloader updated" in boot.finalize()
    boot.run("env", "STATE_DIRECTORY=/run", "sh", SHUTDOWN)


def updated(host: PretendHost, checksum: str) -> None:
    """Go to a release, the whole shutdown included."""
    with host.boot() as boot:
        ok(boot.engine("stage", checksum))
        ok(boot.engine("arm", checksum))
        shut_down(boot)


@needs_our_flush
def test_without_a_flush_the_boot_loader_would_start_what_is_gone(
    disk: BootDisk, host: PretendHost, published: Published
) -> None:
    """ostree's own commands, as they were used before: this shows that the other tests can fail."""
    updated(host, published.v2)
    with host.boot() as boot:
        boot.run("ostree", "admin", "undeploy", "1")
        assert disk.read_by_loader() != disk.read_by_kernel()
        with pytest.raises(AssertionError, match="does not boot any more"):
            disk.check_bootable()


def test_a_shutdown_leaves_nothing_in_the_journal(disk: BootDisk, host: PretendHost, published: Published) -> None:
    updated(host, published.v2)
    assert disk.read_by_loader() == disk.read_by_kernel()
    disk.check_bootable()
    with host.boot() as boot:
        assert payloads(boot)[0] == published.v2
        assert status(boot)["booted_by_current_menu"] is True


Verb = Callable[[Boot, Published], None]


def _rollback(boot: Boot, published: Published) -> None:
    ok(boot.engine("rollback", published.v1))


def _prune(boot: Boot, _: Published) -> None:
    ok(boot.engine("prune_rollback"))


@pytest.mark.parametrize("verb", [_rollback, _prune])
def test_the_boot_order_is_on_the_disk_when_a_verb_has_ended(
    disk: BootDisk, host: PretendHost, published: Published, verb: Verb
) -> None:
    updated(host, published.v2)
    with host.boot(read_only=True) as boot:
        verb(boot, published)
        assert disk.read_by_loader() == disk.read_by_kernel()
        disk.check_bootable()


def test_a_release_that_the_boot_loader_did_not_see_is_taken_back_on_the_disk(
    disk: BootDisk, host: PretendHost, published: Published
) -> None:
    """The power is cut before the flush: the loader's menu is the one from before, and its release exists still."""
    old = host.sysroot.default_options()
    deployment = host.sysroot.default_entry()
    update(host, published.v2)
    with host.boot(entry=deployment, options=old) as boot:
        seen = status(boot)
        assert (seen["booted"]["payload"], seen["booted_by_current_menu"]) == (published.v1, False)
        ok(boot.engine("disarm", published.v2))
        assert payloads(boot)[2] == [published.v1, published.v2]
        assert disk.read_by_loader() == disk.read_by_kernel()
        disk.check_bootable()


@needs_our_flush
@pytest.mark.parametrize("verb", [_rollback, _prune])
def test_at_every_instant_the_boot_loader_finds_a_release_that_is_there(
    disk: BootDisk, host: PretendHost, published: Published, verb: Verb
) -> None:
    """The verb is held before it flushes /boot: the switch is made, and all that the menu before needs is there."""
    updated(host, published.v2)
    stub = host.scratch / "stubs/sync"
    stub.write_text(HELD_SYNC, encoding="ascii")
    stub.chmod(0o755)
    with host.boot(read_only=True) as boot:
        working = threading.Thread(target=verb, args=(boot, published))
        working.start()
        deadline = time.monotonic() + PATIENCE_SECS
        while not boot.exists(FLUSHING):
            assert working.is_alive(), "it never flushed /boot"
            assert time.monotonic() < deadline
        assert disk.read_by_loader() != disk.read_by_kernel(), "the switch is in the journal only"
        before, now = (boot.run("readlink", f"/boot/{name}").strip() for name in ("tidegate-loader", "loader"))
        assert {before, now} == {"loader.0", "loader.1"}, "the link of before has a name still, so nothing clears it"
        disk.check_bootable()
        boot.run("rm", FLUSHING)
        working.join(PATIENCE_SECS)
        assert boot.run("stat", "-c", "%h", "/boot/loader").strip() == "2"
        assert disk.read_by_loader() == disk.read_by_kernel()
        disk.check_bootable()
