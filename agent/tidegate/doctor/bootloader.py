"""Area ``boot``: whether this boot is complete, and what the boot loader does with a release that does not boot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor import boot_disk
from tidegate.doctor.base import Area, Finding, Host
from tidegate.doctor.reading import Unit, ask, in_thread, read_units
from tidegate.engines.ostree.status import parse_version

AREA = Area("boot")
TARGET = "boot-complete.target"
OSTREE_COMPLETE = "ostree-boot-complete.service"

OSTREE_BOOTED = "run/ostree-booted"
EFI = "sys/firmware/efi"
COUNTED = f"{EFI}/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
"""Set by a boot loader that counts boot attempts for this entry (systemd's Boot Loader Interface)."""

BLESS = "usr/lib/systemd/systemd-bless-boot"


@dataclass(frozen=True, slots=True)
class Loader:
    """Firmware and boot loader: EFI, whether attempts are counted, whether systemd-bless-boot is installed."""

    efi: bool
    counting: bool
    bless: bool


async def examine(host: Host) -> Sequence[Finding]:
    """Check boot-complete.target and the boot loader's variables."""
    units = await read_units(TARGET, OSTREE_COMPLETE, boot_disk.SHUTDOWN)
    required = tuple(name for name in units[TARGET].requires if name.endswith(".service"))
    checks = await read_units(*required)
    loader = await in_thread(_loader, host.root)
    return [
        *judge_target(units[TARGET], checks),
        *judge_last_switch(units[OSTREE_COMPLETE]),
        judge_loader(loader),
        *await _boot_disk(host, units[boot_disk.SHUTDOWN]),
    ]


async def _boot_disk(host: Host, shutdown: Unit) -> list[Finding]:
    """Only of hosts that ostree switches."""
    if not (host.root / OSTREE_BOOTED).exists():
        return []
    version = parse_version((await ask("ostree", "--version")).stdout)
    bindings = await ask(*boot_disk.BINDINGS)
    return [
        *boot_disk.judge(AREA, version, await in_thread(boot_disk.read_disk, host.root), shutdown),
        *boot_disk.judge_bindings(AREA, version, installed=bindings.returncode == 0),
    ]


def _loader(root: Path) -> Loader:
    return Loader((root / EFI).is_dir(), (root / COUNTED).exists(), (root / BLESS).exists())


def judge_target(target: Unit, checks: Mapping[str, Unit]) -> Iterator[Finding]:
    """Whether boot-complete.target is reached; ``checks`` are the services that it requires."""
    evidence = [f"it requires {check.name}: {check.active}" for check in checks.values()]
    if target.active == "active":
        yield AREA.ok("boot-complete", "this boot is complete", *evidence)
        return
    bad = [check.name for check in checks.values() if check.active == "failed" or not check.exists]
    because = f", because {' and '.join(bad)} failed" if bad else ""
    text = f"this boot is not complete{because}: a new release is not considered healthy"
    again = f"systemctl restart {' '.join(bad)} && " if bad else ""
    yield AREA.problem(
        "boot-complete",
        text,
        f"{again}systemctl start {TARGET}",
        f"{TARGET}: {target.load}, {target.active}",
        *evidence,
    )


def judge_last_switch(unit: Unit) -> Iterator[Finding]:
    """Whether the last shutdown failed to apply the staged release."""
    if unit.active == "failed":
        text = "the last shutdown failed to apply the staged release"
        remedy = f"journalctl -b -u {unit.name}; once that is fixed: systemctl reset-failed {unit.name}"
        yield AREA.problem("last-switch", text, remedy)
    elif unit.exists:
        yield AREA.ok("last-switch", "the last shutdown had no failure")


def judge_loader(loader: Loader) -> Finding:
    """Report how the boot loader treats a release that does not boot at all."""
    if loader.counting and not loader.bless:
        text = "the boot loader counts boot attempts, but systemd-bless-boot, which marks a boot as good, is missing"
        return AREA.problem(
            "boot-counting", text, "add systemd-bless-boot to the releases (on Debian: package systemd-boot)"
        )
    if loader.counting:
        return AREA.ok(
            "boot-counting", "the boot loader counts boot attempts, and falls back from a release that does not boot"
        )
    firmware = "EFI firmware" if loader.efi else "no EFI firmware"
    text = "the boot loader does not count boot attempts: if a release does not boot at all, select another one by hand"
    return AREA.ok("boot-counting", text, firmware)
