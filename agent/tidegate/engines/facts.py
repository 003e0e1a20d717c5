"""Facts about a host, and which program owns its updates. Pure.

The order is that of ownership: rpm-ostree and bootc hosts are OSTree hosts as well, but driving plain ostree beside
their own tool would lose layered packages, image origins and their update state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BootcAnswer(StrEnum):
    """The answer of ``bootc status`` about the host."""

    ABSENT = "absent"
    NOT_ITS_HOST = "not its host"
    ITS_HOST = "its host"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Facts of a host by which its engine is detected; see :func:`tidegate.engines.detect.read_facts`."""

    ostree_booted: bool
    ostree_installed: bool
    rpm_ostree: bool
    bootc: BootcAnswer


class Owner(StrEnum):
    """The program that updates a host."""

    RPM_OSTREE = "rpm-ostree"
    BOOTC = "bootc"
    POSSIBLY_BOOTC = "possibly bootc"
    OSTREE = "ostree"
    OSTREE_WITHOUT_COMMAND = "ostree without its command"
    NONE = "none"


def owner_of(facts: HostFacts) -> Owner:
    """Return the owner of a host: the first rule that fits."""
    match facts:
        case HostFacts(ostree_booted=True, rpm_ostree=True):
            return Owner.RPM_OSTREE
        case HostFacts(bootc=BootcAnswer.ITS_HOST):
            return Owner.BOOTC
        case HostFacts(ostree_booted=True, bootc=BootcAnswer.UNREADABLE):
            return Owner.POSSIBLY_BOOTC
        case HostFacts(ostree_booted=True, ostree_installed=True):
            return Owner.OSTREE
        case HostFacts(ostree_booted=True):
            return Owner.OSTREE_WITHOUT_COMMAND
        case _:
            return Owner.NONE
