"""Constants and types of the FleetLock protocol, shared by client and server.

Specification: https://coreos.github.io/zincati/development/fleetlock/protocol/. Servers differ in what it leaves open
(the status of "no slot", the body of a grant): :mod:`.answers` interprets them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

HEADER_NAME = "fleet-lock-protocol"
HEADER_VALUE = "true"

EXTENSIONS_HEADER_NAME = "fleet-lock-extensions"
"""The header in every reply of a server that reads :class:`UpdateParams`."""

EXTENSION = "rollout-v1"

GROUP_PATTERN = re.compile(r"[a-zA-Z0-9.-]+")
"""The pattern that a whole group name has to match."""

MAX_ID_CHARS = 256
"""An id is 32 hexadecimal digits by convention; some sites use host names, which end at 253."""


class Verb(StrEnum):
    """The two requests of a client; the value is the last segment of the path, below ``v1/``."""

    PRE_REBOOT = "pre-reboot"
    """Lock: grant the caller a slot of its group, unless it holds one already."""

    STEADY_STATE = "steady-state"
    """Unlock: release the caller's slot, if it holds one."""


@dataclass(frozen=True, slots=True)
class ClientParams:
    """The client's identity. The server counts slots by group and distinguishes holders by ``id``."""

    id: str
    group: str


@dataclass(frozen=True, slots=True)
class ReleaseTag:
    """A release in the extension: ``digest`` is its payload."""

    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class UpdateParams:
    """The optional object ``update_params`` beside ``client_params``: the releases that the host moves from and to.

    ``boot_id`` and ``uptime_secs``, for how long that boot has been running, tell two hosts apart that share an id.
    Servers that do not know the extension ignore it.
    """

    agent: str | None = None
    boot_id: str | None = None
    current: ReleaseTag | None = None
    target: ReleaseTag | None = None
    uptime_secs: int | None = None
