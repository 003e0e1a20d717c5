"""Reboots: their kinds, and the answers of what is asked to take the host down."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RebootKind(StrEnum):
    """How a host goes down and comes up again."""

    REBOOT = "reboot"
    """A whole boot, through firmware and boot loader."""
    SOFT = "soft-reboot"
    """Userspace only, under the running kernel (systemd 254)."""


@dataclass(frozen=True, slots=True)
class RebootAccepted:
    """The request was accepted, or may have been before the connection was lost."""


@dataclass(frozen=True, slots=True)
class RebootRefused:
    """The request was refused. ``remedy`` is the command that removes the cause; empty where there is none."""

    reason: str
    remedy: str = ""


RebootAnswer = RebootAccepted | RebootRefused
