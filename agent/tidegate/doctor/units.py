"""Area ``units``: whether systemd runs the host, the units run, and no drop-in weakens them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tidegate.doctor.base import Area, Finding, Host
from tidegate.doctor.reading import Unit, first_line, in_thread, read_units
from tidegate.system import regular_file

AREA = Area("units")
AGENT = "tidegate.service"
ENGINE = "tidegate-engine.service"

MANY_RESTARTS = 3
"""More restarts than a lost bus connection or two causes point to a lasting fault."""

MAX_DROP_IN_BYTES = 1024 * 1024
_RUNNING_SYSTEMD = "run/systemd/system"
_SETTING = re.compile(r"^\s*([A-Za-z]+)\s*=", re.MULTILINE)

SANDBOX = frozenset(
    {
        "AmbientCapabilities", "CapabilityBoundingSet", "DeviceAllow", "Group", "LockPersonality",
        "MemoryDenyWriteExecute", "NoNewPrivileges", "PrivateDevices", "PrivateTmp", "ProtectClock",
        "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
        "ProtectKernelTunables", "ProtectSystem", "ReadWritePaths", "RestrictAddressFamilies", "RestrictNamespaces",
        "RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter", "UMask", "User",
    }
)  # fmt: skip
"""Settings with which a drop-in can weaken the sandbox of the shipped units."""

PURPOSE = frozenset({"ExecStart", "Restart", "Type", "WatchdogSec", "StateDirectory", "NotifyAccess", "BusName"})
"""Settings with which a drop-in can change what the shipped units do."""


async def examine(host: Host) -> Sequence[Finding]:
    """Check the units of agent and engine helper; without systemd, only that it is missing."""
    if not await in_thread((host.root / _RUNNING_SYSTEMD).is_dir):
        return [no_systemd(await in_thread(_first_process, host.root))]
    units = await read_units(AGENT, ENGINE)
    texts = await in_thread(_texts, [path for unit in units.values() for path in unit.drop_ins])
    return [*judge(units), *judge_drop_ins(texts)]


def _first_process(root: Path) -> str:
    return first_line(root / "proc/1/comm") or "unknown"


def _texts(paths: Sequence[str]) -> Mapping[str, str | None]:
    return {path: _text(Path(path)) for path in paths}


def _text(path: Path) -> str | None:
    try:
        return regular_file.read(path, MAX_DROP_IN_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def no_systemd(first_process: str) -> Finding:
    """The finding for a machine that was not booted by systemd."""
    return AREA.problem(
        "systemd",
        f"systemd does not run this machine: its first process is {first_process}. Tidegate needs it for its "
        "units and for reboots",
        "run Tidegate on a host that was booted by systemd; elsewhere it can only check configurations",
    )


def judge(units: Mapping[str, Unit]) -> Iterator[Finding]:
    """Evaluate the states of the two units."""
    yield from _agent(units[AGENT])
    yield from _engine(units[ENGINE])
    stale = [unit.name for unit in units.values() if unit.needs_reload]
    if stale:
        text = f"systemd has loaded older versions of {' and '.join(stale)} than those on disk"
        yield AREA.warning("stale-units", text, "systemctl daemon-reload && systemctl restart tidegate.service")


def _agent(unit: Unit) -> Iterator[Finding]:
    evidence = (f"{unit.name}: {unit.load}, {unit.enabled or 'no unit file'}, {unit.active}, {unit.result}",)
    if unit.is_masked:
        remedy = f"{unit.unmask} && systemctl enable --now {AGENT}"
        yield AREA.problem("agent", "the agent's unit is masked: it cannot be started", remedy, *evidence)
        return
    if not unit.exists:
        yield AREA.problem("agent", "the agent's unit is not installed", "tidegate install", *evidence)
        return
    if unit.active not in {"active", "reloading"}:
        remedy = f"systemctl start {AGENT} || journalctl -u {AGENT} -n 20"
        yield AREA.problem("agent", f"the agent is not running: its unit is {unit.active}", remedy, *evidence)
    else:
        yield AREA.ok("agent", "the agent is running", *evidence)
    if unit.enabled not in {"enabled", "enabled-runtime", "static", "generated", "alias", "indirect"}:
        text = "the agent is not enabled: it will not run after the next boot"
        yield AREA.problem("enabled", text, f"systemctl enable {AGENT}", *evidence)
    if unit.restarts >= MANY_RESTARTS:
        text = f"systemd has restarted the agent {unit.restarts} times in this boot"
        yield AREA.warning("restarts", text, f"journalctl -u {AGENT} -p warning")


def _engine(unit: Unit) -> Iterator[Finding]:
    evidence = f"{unit.name}: {unit.load}, {unit.active}, {unit.result}"
    if unit.is_masked:
        text = "the engine helper's unit is masked: releases can be neither listed nor staged"
        yield AREA.problem("engine-helper", text, unit.unmask, evidence)
    elif not unit.exists:
        yield AREA.problem("engine-helper", "the engine helper's unit is not installed", "tidegate install", evidence)
    elif unit.active == "failed":
        text = f"the last start of the engine helper failed ({unit.result})"
        yield AREA.warning("engine-helper", text, f"journalctl -u {ENGINE}", evidence)
    else:
        yield AREA.ok("engine-helper", "the engine helper can be started on demand", evidence)


def judge_drop_ins(texts: Mapping[str, str | None]) -> Iterator[Finding]:
    """Evaluate drop-ins of the units: their text by path, None if it could not be read."""
    for path, text in texts.items():
        if text is None:
            yield AREA.unknown("drop-in", f"{path} cannot be read", "run it as root: sudo tidegate doctor")
            continue
        keys = set(_SETTING.findall(text))
        weakened, changed = sorted(keys & SANDBOX), sorted(keys & PURPOSE)
        if weakened or changed:
            settings = ", ".join([*weakened, *changed])
            remedy = f"compare it with the shipped unit: systemctl cat {Path(path).parent.name.removesuffix('.d')}"
            yield AREA.warning("drop-in", f"{path} changes the sandbox or the start of the unit: {settings}", remedy)
        else:
            yield AREA.ok("drop-in", f"{path} does not change the unit's sandbox")
