"""The answers to a reboot request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RebootAccepted:
    """The request was accepted, or may have been before the connection was lost."""


@dataclass(frozen=True, slots=True)
class RebootRefused:
    """The request was refused. ``remedy`` is the command that removes the cause; empty where there is none."""

    reason: str
    remedy: str = ""


RebootAnswer = RebootAccepted | RebootRefused
