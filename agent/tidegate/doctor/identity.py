"""Area ``identity``: whether this host has an id, and shares it with no other host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor.base import Area, Finding, Host
from tidegate.doctor.reading import first_line, in_thread
from tidegate.identity import HostIdentity

AREA = Area("identity")

HOST = "etc/machine-id"
IMAGE = "usr/etc/machine-id"
"""The machine id in the release's default /etc (OSTree)."""

DBUS = "var/lib/dbus/machine-id"

_ANEW = f"systemd-id128 new >/{HOST} && systemctl restart tidegate.service"


@dataclass(frozen=True, slots=True)
class Ids:
    """The machine id in each of its places; empty if missing."""

    host: str
    image: str
    dbus: str


async def examine(host: Host) -> Sequence[Finding]:
    """Compare the machine ids on this host."""
    ids = await in_thread(_ids, host.root)
    return [*judge(ids, host.identity, configured=host.settings.identity.node_uuid is not None)]


def _ids(root: Path) -> Ids:
    return Ids(*(first_line(root / path) for path in (HOST, IMAGE, DBUS)))


def judge(ids: Ids, identity: HostIdentity, *, configured: bool) -> Iterator[Finding]:
    """Evaluate the ids; ``configured``: the host's id is set by identity.node_uuid."""
    if identity.node_uuid is None:
        yield AREA.problem("host-id", "; ".join(identity.doubts), "systemd-machine-id-setup; or set identity.node_uuid")
    else:
        source = "configured" if configured else "derived from the machine id"
        yield AREA.ok("host-id", "this host has an id", f"{identity.node_uuid}, {source}")
        for doubt in identity.doubts:
            yield AREA.warning("host-id", doubt, "systemd-machine-id-commit")
    yield from _cloned(ids, configured=configured)


def _cloned(ids: Ids, *, configured: bool) -> Iterator[Finding]:
    if ids.host and ids.host == ids.image:
        text = "the machine id is part of the release, so every host has the same one (reboot after the remedy)"
        if configured:
            yield AREA.warning("machine-id", f"{text}; servers get identity.node_uuid instead", _ANEW)
        else:
            text += (
                ": rollouts take all of them for one host, and so do lock servers but Tidegate's own, where the "
                "agent's start on one host frees the slot of another"
            )
            yield AREA.problem("machine-id", text, _ANEW, f"/{HOST} is the same as /{IMAGE}")
    elif ids.host and ids.dbus and ids.host != ids.dbus:
        text = f"/{HOST} and /{DBUS} differ, which happens when a disk is cloned: one of them is another host's"
        yield AREA.warning("machine-id", text, f"ln -sf /{HOST} /{DBUS}")
    elif ids.host:
        yield AREA.ok("machine-id", "no sign that the machine id was cloned")
