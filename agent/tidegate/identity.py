"""The identity of this host towards update and lock servers.

The machine id is confidential (machine-id(5)), so only an application-specific hash of it leaves the host. Hosts that
were cloned with their machine id have one id: servers take them for one host, and they share its slot of the fleet
lock. That is why every report of a host's state has its id.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tidegate.config.keys import key
from tidegate.config.kinds.scalar import Fraction, Text
from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import regular_file

ROOT = Path("/")
MACHINE_ID_FILE = ROOT / "etc/machine-id"

APP_ID = bytes.fromhex("de35106b6ec24688b63afddaa156679b")
"""Zincati's application id. All of FleetLock's world knows hosts by the ids that it gives them: a host that moves from
Zincati keeps its slot and its place in rollouts, and poseidon's fleetlock finds the Kubernetes node of an id by it. It
must never change, since that would give every host another id."""

_MAX_ID_BYTES = 4096
_MAX_OPTIONS_BYTES = 64 * 1024
"""Of a kernel command line; the kernel's own bounds are 2 to 4 KiB, those of a program's arguments larger."""

PLATFORM_OPTION = "ignition.platform.id"
"""The kernel command line option by which Fedora CoreOS and its derivatives name their platform: qemu, aws ..."""

_BASEARCHES: Mapping[str, str] = {"armv7l": "armhfp", "i586": "i386", "i686": "i386"}
"""The architectures that RPM, and so a Cincinnati server, names otherwise than the kernel (DNF's basearch)."""

_PLATFORM = re.compile(r"[a-zA-Z0-9._-]+")
_LASTING = "(make /etc writable early enough for systemd-machine-id-commit, or set identity.node_uuid)"
_REMEDY = "run `systemd-machine-id-setup`, or set identity.node_uuid"

_GROUP = re.compile(r"[a-zA-Z0-9.-]+")
_STREAM = re.compile(r"(?!(?:.*/)?\.\.?(?:/|$))[a-zA-Z0-9._-]+(?:/[a-zA-Z0-9._-]+)*")
"""Names between slashes, none of which is ``.`` or ``..``: it becomes a part of URLs."""

_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Identity:
    """``[identity]``: how update and lock servers know the host."""

    group: str = key(
        "default",
        Text(_GROUP, "letters, digits, dots and dashes"),
        "The group of hosts that this host belongs to, as update servers and the lock server know it.",
    )
    node_uuid: str | None = key(
        None,
        Text(_UUID, "32 hexadecimal digits, with or without dashes"),
        "The host's id for those servers and for rollouts. Unless set, it is derived from the machine id.",
    )
    rollout_wariness: float | None = key(
        None,
        Fraction(),
        "How late in a rollout the host takes a release: 0.0 first, 1.0 last. Unless set, a Cincinnati server decides; "
        "with a static graph, it is derived from the host's id and the release.",
    )
    stream: str | None = key(
        None,
        Text(_STREAM, "letters, digits and any of . _ -, in names that slashes separate, none of them . or .."),
        "The stream of releases that the host follows. Unless set, it is the last part of the ref from which the "
        "running release was deployed.",
    )


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """The facts about this host that are sent to update servers, and substituted in URLs.

    ``node_uuid`` has 32 hexadecimal digits; None on a host without an id. ``platform`` is empty where it is not known.
    ``stream`` is None as long as neither the settings nor the engine name one. ``rollout_wariness`` is None unless
    configured. ``doubts`` are warnings about ``node_uuid``, for people.
    """

    group: str
    basearch: str
    platform: str = ""
    stream: str | None = None
    node_uuid: str | None = None
    rollout_wariness: float | None = None
    doubts: tuple[str, ...] = ()

    def following(self, stream: str | None) -> HostIdentity:
        """A copy with the stream that the engine follows, unless the settings name one."""
        usable = stream is not None and _STREAM.fullmatch(stream) is not None
        return self if self.stream is not None else replace(self, stream=stream if usable else None)

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables for URLs, by name; those without a value on this host are left out."""
        known = {"basearch": self.basearch, "group": self.group, "platform": self.platform, "stream": self.stream}
        return {name: value for name, value in known.items() if value}


def identify(settings: Identity, root: Path = ROOT) -> HostIdentity:
    """The identity of the host whose files are below ``root``. Never raises: a missing id is one of the doubts."""
    node_uuid, doubts = _node_uuid(settings, root)
    return HostIdentity(
        group=settings.group,
        basearch=basearch_of(os.uname().machine),
        platform=platform_of(boot_options(root)),
        stream=settings.stream,
        node_uuid=node_uuid,
        rollout_wariness=settings.rollout_wariness,
        doubts=doubts,
    )


def host_id(identity: Identity, machine_id_file: Path = MACHINE_ID_FILE) -> str:
    """The host's id, 32 hexadecimal digits: ``identity.node_uuid``, or one that is derived from the machine id.

    Raises:
        TidegateError: ``identity.unknown``: neither exists.
    """
    if identity.node_uuid is not None:
        return identity.node_uuid.replace("-", "").lower()
    return app_specific_id(read_machine_id(machine_id_file)).hex()


def app_specific_id(machine_id: bytes, app_id: bytes = APP_ID) -> bytes:
    """The 16-byte id that sd_id128_get_machine_app_specific(3) derives from a machine id, for a 16-byte app id."""
    import hmac  # noqa: PLC0415 - OpenSSL takes 4 MiB

    digest = bytearray(hmac.digest(machine_id, app_id, "sha256")[:16])
    digest[6] = digest[6] & 0x0F | 0x40  # a UUID of version 4 ...
    digest[8] = digest[8] & 0x3F | 0x80  # ... and the usual variant
    return bytes(digest)


def read_machine_id(path: Path = MACHINE_ID_FILE) -> bytes:
    """The 16 bytes of the machine id.

    Raises:
        TidegateError: ``identity.unknown``: there is none, as on a host that has not finished its first boot.
    """
    try:
        text = regular_file.read(path, _MAX_ID_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TidegateError(ErrorKind.IDENTITY_UNKNOWN, f"{path} cannot be read: {error}", _REMEDY) from error
    if len(text) != 32 or text.strip("0123456789abcdefABCDEF") or not text.strip("0"):
        raise TidegateError(ErrorKind.IDENTITY_UNKNOWN, f"{path} {_no_machine_id(text)}", _REMEDY)
    return bytes.fromhex(text)


def boot_options(root: Path = ROOT) -> tuple[str, ...]:
    """The boot options of this system; none where they cannot be read.

    In a container the kernel's command line is that of the machine, and the container's options are the arguments of
    its process 1. systemd reads them there as well (252, ``proc_cmdline()``).
    """
    in_container = (root / "run/systemd/container").exists()
    file, separator = ("proc/1/cmdline", b"\0") if in_container else ("proc/cmdline", None)
    try:
        words = regular_file.read_start(root / file, _MAX_OPTIONS_BYTES).split(separator)
    except OSError:
        return ()
    return tuple(word.decode(errors="replace").strip("\"' \t\n") for word in words)


def platform_of(options: tuple[str, ...]) -> str:
    """The platform that the boot ``options`` name, the first one if several; empty without any."""
    named = (
        option.removeprefix(f"{PLATFORM_OPTION}=") for option in options if option.startswith(f"{PLATFORM_OPTION}=")
    )
    return next((name for name in named if _PLATFORM.fullmatch(name)), "")


def basearch_of(machine: str) -> str:
    """The base architecture, as releases are sorted by it, of the ``machine`` of ``uname -m``."""
    return _BASEARCHES.get(machine, machine)


def _node_uuid(settings: Identity, root: Path) -> tuple[str | None, tuple[str, ...]]:
    file = root / "etc/machine-id"
    try:
        node_uuid = host_id(settings, file)
    except TidegateError as error:
        return None, (f"this host has no id: {error}",)
    if settings.node_uuid is None and _lasts_one_boot(file, root / "run/machine-id"):
        return node_uuid, (f"{file} is transient: after the next boot, this host has another id {_LASTING}",)
    return node_uuid, ()


def _lasts_one_boot(file: Path, transient: Path) -> bool:
    """Whether systemd has mounted a transient machine id over the file, since it could not write it."""
    try:
        return file.samefile(transient)
    except OSError:
        return False


def _no_machine_id(text: str) -> str:
    match text:
        case "":
            return "is empty: this host has not been given a machine id at its first boot"
        case "uninitialized":
            return "says uninitialized: the first boot is not over"  # systemd 247 and newer, machine-id(5)
        case _:
            return "has no valid machine id"
