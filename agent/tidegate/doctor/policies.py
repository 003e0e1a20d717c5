"""Area ``policies``: whether D-Bus and polkit let the agent own its name, call its engine, and reboot this host."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tidegate.agent_api.client import AGENT
from tidegate.bus.bus import DBUS, Bus
from tidegate.bus.message import Typed
from tidegate.doctor.base import AS_ROOT, Area, Finding, Host
from tidegate.doctor.reading import Unit, file_facts, in_thread, read_units
from tidegate.errors import TidegateError
from tidegate.services.polkit import AUTHORITY

AREA = Area("policies")
POLKIT_UNIT = "polkit.service"
RULE = "50-tidegate.rules"

PLACES: Mapping[str, tuple[str, ...]] = {
    "dbus-policy": ("usr/share/dbus-1/system.d/org.tidegate.conf", "etc/dbus-1/system.d/org.tidegate.conf"),
    "engine-activation": ("usr/share/dbus-1/system-services/org.tidegate.Engine1.service",),
    "polkit-actions": ("usr/share/polkit-1/actions/org.tidegate.agent1.policy",),
    "polkit-rule": (f"usr/share/polkit-1/rules.d/{RULE}", f"etc/polkit-1/rules.d/{RULE}"),
}
"""Each policy file, and the places where it may be."""

WITHOUT: Mapping[str, str] = {
    "dbus-policy": "the bus does not let the agent own its name",
    "engine-activation": "the bus cannot start the engine helper",
    "polkit-actions": "only root can call the agent",
    "polkit-rule": "polkit does not let the agent reboot this host",
}

REBOOT_ACTIONS = (
    "org.freedesktop.login1.reboot",
    "org.freedesktop.login1.reboot-multiple-sessions",
    "org.freedesktop.login1.set-wall-message",
)

_NO_INTERACTION = 0
_NO_DETAILS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Facts:
    """``files``: whether each of ``PLACES`` exists, None if that could not be read.

    ``refused``: those of ``REBOOT_ACTIONS`` that polkit does not grant the running agent, with the reason.
    ``why_not_asked``: why polkit was not queried, empty if it was.
    """

    files: Mapping[str, bool | None]
    polkit: Unit
    agent_on_bus: bool
    polkit_on_bus: bool
    refused: Mapping[str, str]
    why_not_asked: str
    usr_writable: bool


async def examine(host: Host) -> Sequence[Finding]:
    """Check the policy files and polkit, and ask polkit about the agent."""
    files, writable = await in_thread(_files, host.root), await in_thread(_usr_writable, host.root)
    polkit = (await read_units(POLKIT_UNIT))[POLKIT_UNIT]
    bus = await Bus.connect()
    try:
        agent = await bus.has_owner(AGENT.destination)
        why_not = why_not_asked(polkit, agent=agent, is_root=host.is_root)
        refused: Mapping[str, str] = {} if why_not else await _refused(bus)
        authority = await bus.has_owner(AUTHORITY.destination)  # a query has made the bus start it
    finally:
        await bus.close()
    return [*judge(Facts(files, polkit, agent, authority, refused, why_not, writable))]


def _files(root: Path) -> Mapping[str, bool | None]:
    return {name: _there([root / place for place in places]) for name, places in PLACES.items()}


def _there(places: Sequence[Path]) -> bool | None:
    """Whether a place exists; None if unknown: polkit's folder in /etc is accessible to its own user only."""
    seen = [file_facts(place) for place in places]
    if any(file.exists for file in seen):
        return True
    return None if any(file.error for file in seen) else False


def _usr_writable(root: Path) -> bool:
    import os  # noqa: PLC0415 - for statvfs only

    return not os.statvfs(root / "usr").f_flag & os.ST_RDONLY


async def _refused(bus: Bus) -> Mapping[str, str]:
    """The actions that polkit does not grant the agent. polkit accepts only unique bus names (122)."""
    (name,) = await bus.call(DBUS, "GetNameOwner", "s", AGENT.destination, returns="s")
    answers = {action: await _why_refused(bus, str(name), action) for action in REBOOT_ACTIONS}
    return {action: why for action, why in answers.items() if why}


async def _why_refused(bus: Bus, name: str, action: str) -> str:
    subject = ("system-bus-name", {"name": Typed("s", name)})
    arguments = (subject, action, _NO_DETAILS, _NO_INTERACTION, "")
    try:
        (answer,) = await bus.call(AUTHORITY, "CheckAuthorization", "(sa{sv})sa{ss}us", *arguments, returns="(bba{ss})")
    except TidegateError as err:
        return err.message
    return "" if cast("tuple[bool, bool, object]", answer)[0] else "no rule allows it"


def why_not_asked(polkit: Unit, *, agent: bool, is_root: bool) -> str:
    """Why polkit is not queried about the agent; empty if it is."""
    if not is_root:
        return "polkit answers such queries only to root"
    if not agent:
        return "the agent is not on the bus"
    return "" if polkit.exists and not polkit.is_masked else "polkitd is not available"


def judge(facts: Facts) -> Iterator[Finding]:
    """Evaluate the policies."""
    for name, there in facts.files.items():
        if there is None:
            yield AREA.unknown(name, f"unknown whether /{PLACES[name][-1]} exists", AS_ROOT)
        elif there:
            yield AREA.ok(name, f"{Path(PLACES[name][0]).name} is installed")
        else:
            yield AREA.problem(name, f"/{PLACES[name][0]} is missing: {WITHOUT[name]}", _restore(name, facts))
    yield _on_bus(facts)
    yield _polkitd(facts)
    yield _reboot(facts)


def _on_bus(facts: Facts) -> Finding:
    if facts.agent_on_bus:
        return AREA.ok("bus-name", "the agent owns its name on the bus")
    text = (
        f"the bus name {AGENT.destination} has no owner: the agent is not running, or the bus has not loaded its policy"
    )
    return AREA.problem("bus-name", text, "systemctl reload dbus.service && systemctl restart tidegate.service")


def _polkitd(facts: Facts) -> Finding:
    unit, evidence = facts.polkit, f"{POLKIT_UNIT}: {facts.polkit.load}, {facts.polkit.active}"
    if facts.polkit_on_bus:
        return AREA.ok("polkitd", "polkitd is running", evidence)
    if unit.is_masked:
        text, remedy = "polkitd is masked", f"{unit.unmask} && systemctl start {POLKIT_UNIT}"
    elif not unit.exists:
        text, remedy = "polkitd is not installed", "install polkitd"
    elif facts.why_not_asked and unit.active != "failed":
        return AREA.ok("polkitd", "polkitd is not running; the bus starts it on demand", evidence)
    else:
        text, remedy = "polkitd does not start", f"systemctl start {POLKIT_UNIT}; journalctl -u {POLKIT_UNIT}"
    text += ": only root can call the agent, and logind refuses the agent's reboots"
    return AREA.problem("polkitd", text, remedy, evidence)


def _reboot(facts: Facts) -> Finding:
    if facts.why_not_asked:
        remedy = AS_ROOT if "root" in facts.why_not_asked else "fix that first"
        return AREA.unknown("may-reboot", f"unknown whether the agent may reboot: {facts.why_not_asked}", remedy)
    if not facts.refused:
        return AREA.ok("may-reboot", "polkit allows the agent to reboot this host", *REBOOT_ACTIONS)
    text = "polkit does not allow the agent to reboot this host: a rule is missing, or another one forbids it"
    refused = (f"{action}: {why}" for action, why in facts.refused.items())
    return AREA.problem("may-reboot", text, _restore("polkit-rule", facts), *refused)


def _restore(name: str, facts: Facts) -> str:
    """The command that installs a policy file. If /usr is read-only, which is part of a release then, into /etc."""
    *_, last = PLACES[name]
    if facts.usr_writable:
        return "tidegate install"
    if not last.startswith("etc/"):
        return "build Tidegate into the release: tidegate install --root DIR"
    source = Path(sys.prefix) / "share/tidegate/systemd" / Path(last).name
    after = f"systemctl restart {POLKIT_UNIT}" if name.startswith("polkit") else "systemctl reload dbus.service"
    return f"install -m 0644 {source} /{last} && {after}"
