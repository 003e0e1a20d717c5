"""Area ``policies``: may the agent have its name on the bus, ask its engine, and reboot this host."""

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
"""Each file, and where it may be."""

WITHOUT: Mapping[str, str] = {
    "dbus-policy": "the bus does not let the agent have its name",
    "engine-activation": "the bus cannot start the engine helper",
    "polkit-actions": "nobody but root can ask the agent for anything",
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
    """``files`` has whether each of ``PLACES`` is there, None for what could not be seen.

    ``refused`` has those of ``REBOOT_ACTIONS`` that polkit does not let the running agent do, and why;
    ``why_not_asked`` is set where it was not asked.
    """

    files: Mapping[str, bool | None]
    polkit: Unit
    agent_on_bus: bool
    polkit_on_bus: bool
    refused: Mapping[str, str]
    why_not_asked: str
    usr_writable: bool


async def examine(host: Host) -> Sequence[Finding]:
    """Look at the files, at polkit, and at what polkit says of the agent."""
    files, writable = await in_thread(_files, host.root), await in_thread(_usr_writable, host.root)
    polkit = (await read_units(POLKIT_UNIT))[POLKIT_UNIT]
    bus = await Bus.connect()
    try:
        agent = await bus.has_owner(AGENT.destination)
        why_not = why_not_asked(polkit, agent=agent, is_root=host.is_root)
        refused: Mapping[str, str] = {} if why_not else await _refused(bus)
        authority = await bus.has_owner(AUTHORITY.destination)  # where it was asked, the bus has started it for that
    finally:
        await bus.close()
    return [*judge(Facts(files, polkit, agent, authority, refused, why_not, writable))]


def _files(root: Path) -> Mapping[str, bool | None]:
    return {name: _there([root / place for place in places]) for name, places in PLACES.items()}


def _there(places: Sequence[Path]) -> bool | None:
    """polkit's folder in /etc is for its own user alone: whoever else looks for the file there cannot tell."""
    seen = [file_facts(place) for place in places]
    if any(file.exists for file in seen):
        return True
    return None if any(file.error for file in seen) else False


def _usr_writable(root: Path) -> bool:
    import os  # noqa: PLC0415 - statvfs is all that is wanted of it

    return not os.statvfs(root / "usr").f_flag & os.ST_RDONLY


async def _refused(bus: Bus) -> Mapping[str, str]:
    """polkit judges callers by what the bus says of them; it takes unique names only (122)."""
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
    """Why polkit is not asked about the agent; empty where it is."""
    if not is_root:
        return "polkit tells only root about others"
    if not agent:
        return "the agent is not on the bus"
    return "" if polkit.exists and not polkit.is_masked else "there is no polkitd to be asked"


def judge(facts: Facts) -> Iterator[Finding]:
    """What the policies come to."""
    for name, there in facts.files.items():
        if there is None:
            yield AREA.unknown(name, f"it cannot be seen whether {PLACES[name][-1]} is there", AS_ROOT)
        elif there:
            yield AREA.ok(name, f"{Path(PLACES[name][0]).name} is in place")
        else:
            yield AREA.problem(name, f"/{PLACES[name][0]} is missing: {WITHOUT[name]}", _put_back(name, facts))
    yield _on_bus(facts)
    yield _polkitd(facts)
    yield _reboot(facts)


def _on_bus(facts: Facts) -> Finding:
    if facts.agent_on_bus:
        return AREA.ok("bus-name", "the agent has its name on the bus")
    text = f"nobody has the name {AGENT.destination}: the agent does not run, or the bus has not read its policy"
    return AREA.problem("bus-name", text, "systemctl reload dbus.service && systemctl restart tidegate.service")


def _polkitd(facts: Facts) -> Finding:
    unit, evidence = facts.polkit, f"{POLKIT_UNIT}: {facts.polkit.load}, {facts.polkit.active}"
    if facts.polkit_on_bus:
        return AREA.ok("polkitd", "polkitd runs", evidence)
    if unit.is_masked:
        text, remedy = "polkitd is masked", f"{unit.unmask} && systemctl start {POLKIT_UNIT}"
    elif not unit.exists:
        text, remedy = "polkitd is not installed", "install polkitd"
    elif facts.why_not_asked and unit.active != "failed":
        return AREA.ok("polkitd", "polkitd does not run now; the bus starts it when it is asked", evidence)
    else:
        text, remedy = "polkitd does not start", f"systemctl start {POLKIT_UNIT}; journalctl -u {POLKIT_UNIT}"
    text += ": nobody but root can ask the agent for anything, and logind refuses its reboots"
    return AREA.problem("polkitd", text, remedy, evidence)


def _reboot(facts: Facts) -> Finding:
    if facts.why_not_asked:
        remedy = AS_ROOT if "root" in facts.why_not_asked else "mend that first"
        return AREA.unknown("may-reboot", f"not known whether the agent may reboot: {facts.why_not_asked}", remedy)
    if not facts.refused:
        return AREA.ok("may-reboot", "polkit lets the agent reboot this host", *REBOOT_ACTIONS)
    text = "polkit does not let the agent reboot this host: a rule is missing, or another one forbids it"
    told = (f"{action}: {why}" for action, why in facts.refused.items())
    return AREA.problem("may-reboot", text, _put_back("polkit-rule", facts), *told)


def _put_back(name: str, facts: Facts) -> str:
    """A read-only /usr is part of a release: there, what may be in /etc goes there."""
    *_, last = PLACES[name]
    if facts.usr_writable:
        return "tidegate install"
    if not last.startswith("etc/"):
        return "build Tidegate into the release: tidegate install --root DIR"
    source = Path(sys.prefix) / "share/tidegate/systemd" / Path(last).name
    after = f"systemctl restart {POLKIT_UNIT}" if name.startswith("polkit") else "systemctl reload dbus.service"
    return f"install -m 0644 {source} /{last} && {after}"
