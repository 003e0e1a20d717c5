"""Area ``identity``: is this host one host to its servers, and another one than its siblings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor.base import Area, Finding, Host
from tidegate.doctor.reading import in_thread
from tidegate.identity import HostIdentity

AREA = Area("identity")

HOST = "etc/machine-id"
IMAGE = "usr/etc/machine-id"
"""What the release has for a host's first /etc (OSTree)."""

DBUS = "var/lib/dbus/machine-id"

_ANEW = f"systemd-id128 new >/{HOST} && systemctl restart tidegate.service"


@dataclass(frozen=True, slots=True)
class Ids:
    """The machine id, where it may be; empty where it is not."""

    host: str
    image: str
    dbus: str


async def examine(host: Host) -> Sequence[Finding]:
    """Compare the machine ids on this host."""
    ids = await in_thread(_ids, host.root)
    return [*judge(ids, host.identity, configured=host.settings.identity.node_uuid is not None)]


def _ids(root: Path) -> Ids:
    return Ids(*(_text(root / path) for path in (HOST, IMAGE, DBUS)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def judge(ids: Ids, identity: HostIdentity, *, configured: bool) -> Iterator[Finding]:
    """What the ids come to; ``configured``: the settings name the host's id."""
    if identity.node_uuid is None:
        yield AREA.problem("host-id", "; ".join(identity.doubts), "systemd-machine-id-setup; or set identity.node_uuid")
    else:
        source = "configured" if configured else "derived from the machine id"
        yield AREA.ok("host-id", "this host has an id for its servers", f"{identity.node_uuid}, {source}")
        for doubt in identity.doubts:
            yield AREA.warning("host-id", doubt, "systemd-machine-id-commit")
    yield from _cloned(ids, configured=configured)


def _cloned(ids: Ids, *, configured: bool) -> Iterator[Finding]:
    if ids.host and ids.host == ids.image:
        text = "the machine id comes with the release, so every host of it has the same (after the remedy, reboot)"
        if configured:
            yield AREA.warning("machine-id", f"{text}; servers are told identity.node_uuid", _ANEW)
        else:
            text += ": to a lock server or a rollout they are one host"
            yield AREA.problem("machine-id", text, _ANEW, f"/{HOST} is the same as /{IMAGE}")
    elif ids.host and ids.dbus and ids.host != ids.dbus:
        text = f"/{HOST} and /{DBUS} differ, as after cloning a disk: one of them is another host's"
        yield AREA.warning("machine-id", text, f"ln -sf /{HOST} /{DBUS}")
    elif ids.host:
        yield AREA.ok("machine-id", "the machine id is this host's own, as far as can be seen from here")
