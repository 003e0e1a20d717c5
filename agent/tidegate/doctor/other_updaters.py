"""Area ``rivals``: other programs that update or reboot this host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor.base import Area, Finding, Host, Status
from tidegate.doctor.reading import Unit, ask, first_line, in_thread, listed, read_units
from tidegate.errors import TidegateError

AREA = Area("rivals")

CONFLICTS: Mapping[str, tuple[Status, str]] = {
    "zincati.service": (Status.PROBLEM, "stages releases and reboots by its own rules"),
    "rpm-ostreed-automatic.timer": (Status.PROBLEM, "stages releases, and may reboot into them"),
    "bootc-fetch-apply-updates.timer": (Status.PROBLEM, "stages releases and reboots immediately"),
    "eos-autoupdater.timer": (Status.PROBLEM, "stages releases, and applies them at the next shutdown"),
    "locksmithd.service": (Status.PROBLEM, "reboots by rules of its own"),
    "rebootmgr.service": (Status.PROBLEM, "reboots by rules of its own"),
    "transactional-update.timer": (Status.PROBLEM, "creates releases, and may reboot into them"),
    "greenboot-rollback.service": (Status.WARNING, "rolls back when its checks fail, independently of Tidegate"),
    "greenboot-healthcheck.service": (Status.WARNING, "reboots when its checks fail, independently of Tidegate"),
}
"""By unit: the severity of the conflict, and what the program does."""

ON = frozenset({"enabled", "enabled-runtime", "linked"})
UNATTENDED = "unattended-upgrades.service"
_APT_KEY = "Unattended-Upgrade::Automatic-Reboot"

PROCESSES: Mapping[str, str] = {"kured": "it reboots nodes of a cluster if /run/reboot-required exists"}
"""By the name of a process: programs without a unit."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``apt_reboots``: unattended-upgrades is configured to reboot."""

    units: Mapping[str, Unit]
    apt_reboots: bool
    processes: frozenset[str]


async def examine(host: Host) -> Sequence[Finding]:
    """Check for units and processes of other updaters."""
    units = await read_units(*CONFLICTS, UNATTENDED)
    processes = await in_thread(_processes, host.root)
    return [*judge(Facts(units, await _apt_reboots(), processes))]


async def _apt_reboots() -> bool:
    try:
        done = await ask("apt-config", "dump", "--format=%v%n", _APT_KEY)
    except TidegateError:  # without apt there is no unattended-upgrades
        return False
    return done.stdout.strip().lower() in {"true", "1", "yes", "on"}


def _processes(root: Path) -> frozenset[str]:
    return frozenset(first_line(entry / "comm") for entry in listed(root / "proc") if entry.name.isdecimal())


def judge(facts: Facts) -> Iterator[Finding]:
    """The other updaters that are enabled or running."""
    found = [*_units(facts.units), *_others(facts)]
    yield from found or [AREA.ok("others", "no other program is known to update or reboot this host")]


def _units(units: Mapping[str, Unit]) -> Iterator[Finding]:
    for name, (status, does) in CONFLICTS.items():
        unit = units[name]
        if unit.enabled in ON or unit.active == "active":
            finding = AREA.problem if status is Status.PROBLEM else AREA.warning
            evidence = f"{name}: {unit.enabled or 'no unit file'}, {unit.active}"
            yield finding(
                name.rpartition(".")[0],
                f"{name} is enabled or running: it {does}",
                f"systemctl disable --now {name}",
                evidence,
            )


def _others(facts: Facts) -> Iterator[Finding]:
    unit = facts.units[UNATTENDED]
    if facts.apt_reboots and (unit.enabled in ON or unit.active == "active"):
        text = "unattended-upgrades is configured to reboot this host, regardless of Tidegate's gates"
        remedy = f"echo '{_APT_KEY} \"false\";' >/etc/apt/apt.conf.d/99tidegate"
        yield AREA.problem("unattended-upgrades", text, remedy)
    for name, does in PROCESSES.items():
        if name in facts.processes:
            yield AREA.warning(name, f"{name} runs: {does}", "let only one of the two reboot: see tidegate lock run")
