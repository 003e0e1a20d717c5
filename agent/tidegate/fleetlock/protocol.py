"""The FleetLock protocol: what client and server agree upon.

Specification: https://coreos.github.io/zincati/development/fleetlock/protocol/. Real servers differ in what the text
leaves open (status codes of "busy", bodies of a grant); who talks to them deals with that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

HEADER_NAME = "fleet-lock-protocol"
HEADER_VALUE = "true"

EXTENSIONS_HEADER_NAME = "fleet-lock-extensions"
"""In every reply of a server that reads :class:`UpdateParams`."""

EXTENSION = "rollout-v1"

GROUP_PATTERN = re.compile(r"[a-zA-Z0-9.-]+")
"""What a group may be called; the whole name has to match."""

MAX_ID_CHARS = 256
"""An id is 32 hexadecimal digits by convention; some sites use host names, which end at 253."""


class Verb(StrEnum):
    """The two things that a client asks; the value is the last part of the path, below ``v1/``."""

    PRE_REBOOT = "pre-reboot"
    """May I reboot? Takes a slot of the group, or finds that the caller has one."""

    STEADY_STATE = "steady-state"
    """I am well again. Frees the caller's slot, or finds that there is none."""


@dataclass(frozen=True, slots=True)
class ClientParams:
    """Who asks. The server counts slots by group and tells holders apart by ``id``."""

    id: str
    group: str


@dataclass(frozen=True, slots=True)
class ReleaseTag:
    """A release in the extension: ``digest`` is its payload."""

    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class UpdateParams:
    """The optional object ``update_params`` beside ``client_params``: what the host is on its way from and to.

    Servers that do not know it pass over it.
    """

    agent: str | None = None
    boot_id: str | None = None
    current: ReleaseTag | None = None
    target: ReleaseTag | None = None
