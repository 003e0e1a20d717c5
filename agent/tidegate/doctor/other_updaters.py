"""Area ``rivals``: who else updates or reboots this host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor.base import Area, Finding, Host, Status
from tidegate.doctor.reading import Unit, ask, in_thread, listed, read_units
from tidegate.errors import TidegateError

AREA = Area("rivals")

RIVALS: Mapping[str, tuple[Status, str]] = {
    "zincati.service": (Status.PROBLEM, "stages releases and reboots by rules of its own"),
    "rpm-ostreed-automatic.timer": (Status.PROBLEM, "stages releases of its own, and may reboot into them"),
    "bootc-fetch-apply-updates.timer": (Status.PROBLEM, "stages releases and reboots at once"),
    "eos-autoupdater.timer": (Status.PROBLEM, "stages releases, and applies them at the next shutdown"),
    "locksmithd.service": (Status.PROBLEM, "reboots by rules of its own"),
    "rebootmgr.service": (Status.PROBLEM, "reboots by rules of its own"),
    "transactional-update.timer": (Status.PROBLEM, "makes releases of its own, and may reboot into them"),
    "greenboot-rollback.service": (Status.WARNING, "rolls back by itself when its checks fail, beside Tidegate"),
    "greenboot-healthcheck.service": (Status.WARNING, "reboots by itself when its checks fail, beside Tidegate"),
}
"""By unit: how much it is in the way, and what it does."""

ON = frozenset({"enabled", "enabled-runtime", "linked"})
UNATTENDED = "unattended-upgrades.service"
_APT_KEY = "Unattended-Upgrade::Automatic-Reboot"

PROCESSES: Mapping[str, str] = {"kured": "kured reboots nodes of a cluster when /run/reboot-required is there"}
"""By the name of a process, for what has no unit."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``apt_reboots``: unattended-upgrades is told to reboot."""

    units: Mapping[str, Unit]
    apt_reboots: bool
    processes: frozenset[str]


async def examine(host: Host) -> Sequence[Finding]:
    """Look for units and processes of other updaters."""
    units = await read_units(*RIVALS, UNATTENDED)
    processes = await in_thread(_processes, host.root)
    return [*judge(Facts(units, await _apt_reboots(), processes))]


async def _apt_reboots() -> bool:
    try:
        done = await ask("apt-config", "dump", "--format=%v%n", _APT_KEY)
    except TidegateError:  # no apt, no unattended-upgrades
        return False
    return done.stdout.strip().lower() in {"true", "1", "yes", "on"}


def _processes(root: Path) -> frozenset[str]:
    return frozenset(_name(entry) for entry in listed(root / "proc") if entry.name.isdecimal())


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def judge(facts: Facts) -> Iterator[Finding]:
    """Who else is at work."""
    found = [*_units(facts.units), *_others(facts)]
    yield from found or [AREA.ok("others", "nobody else updates or reboots this host, as far as can be seen")]


def _units(units: Mapping[str, Unit]) -> Iterator[Finding]:
    for name, (status, does) in RIVALS.items():
        unit = units[name]
        if unit.enabled in ON or unit.active == "active":
            tell = AREA.problem if status is Status.PROBLEM else AREA.warning
            evidence = f"{name}: {unit.enabled or 'no unit file'}, {unit.active}"
            yield tell(name.rpartition(".")[0], f"{name} is on: it {does}", f"systemctl disable --now {name}", evidence)


def _others(facts: Facts) -> Iterator[Finding]:
    unit = facts.units[UNATTENDED]
    if facts.apt_reboots and (unit.enabled in ON or unit.active == "active"):
        text = "unattended-upgrades is told to reboot this host, whatever Tidegate's rules say"
        remedy = f"echo '{_APT_KEY} \"false\";' >/etc/apt/apt.conf.d/99tidegate"
        yield AREA.problem("unattended-upgrades", text, remedy)
    for name, does in PROCESSES.items():
        if name in facts.processes:
            yield AREA.warning(name, f"{name} runs: {does}", "let one of the two reboot: see tidegate lock run")
