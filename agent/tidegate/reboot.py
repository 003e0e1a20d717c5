"""Reboots: their kinds, and the answers of what is asked to take the host down."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RebootKind(StrEnum):
    """How a host goes down into a release. The words are on record."""

    REBOOT = "reboot"
    """Through the firmware and the boot loader."""

    SOFT = "soft-reboot"
    """Userspace alone starts anew, under the same kernel (systemd 254 and newer)."""


@dataclass(frozen=True, slots=True)
class RebootAccepted:
    """The request was accepted, or the connection broke while it may have been."""


@dataclass(frozen=True, slots=True)
class RebootRefused:
    """The host cannot go down now; ``remedy`` is the command that would lift that, where there is one."""

    reason: str
    remedy: str = ""


RebootAnswer = RebootAccepted | RebootRefused
