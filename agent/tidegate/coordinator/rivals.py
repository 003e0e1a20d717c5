"""Tell another host with the id of a holder from the holder itself, come back from its reboot. Pure.

Hosts that were cloned with their machine id have one id. Only clients that send their boot id can be told apart:

==============================================  ======================================================================
the other boot                                  is that of
==============================================  ======================================================================
was found to be another host's before           another host
had begun when the holder got its slot          another host: the holder was running its own boot then
began since                                     the holder, which has rebooted
without its age: requests a slot                another host, unless it runs the release that the holder was going to
without its age: releases the slot              the holder: a host must be able to release its slot after a reboot
==============================================  ======================================================================
"""

from __future__ import annotations

from datetime import timedelta

from tidegate.coordinator.group_clock import MAX_LAG_SECS, GroupTime
from tidegate.coordinator.model import Call, Holder
from tidegate.fleetlock.protocol import UpdateParams, Verb

MARGIN = timedelta(seconds=2 * MAX_LAG_SECS)
"""How much earlier than the grant a boot has to have begun: the clocks of two coordinators may differ by so much."""


def rival_boot_id(holder: Holder, call: Call, now: GroupTime) -> str | None:
    """The boot id of ``call`` if it comes from another host than ``holder``, whose id it has; else None."""
    update = call.update
    if update is None or update.boot_id in {None, _own_boot_id(holder)} or _own_boot_id(holder) is None:
        return None
    return update.boot_id if _is_rival(holder, call.verb, update, now) else None


def _is_rival(holder: Holder, verb: Verb, update: UpdateParams, now: GroupTime) -> bool:
    if update.boot_id == holder.conflicting_boot_id:
        return True
    if update.uptime_secs is not None and holder.since is not None and now.sure:
        return now.at - timedelta(seconds=update.uptime_secs) < holder.since - MARGIN
    return verb is Verb.PRE_REBOOT and not _has_arrived(holder, update)


def _own_boot_id(holder: Holder) -> str | None:
    return None if holder.update is None else holder.update.boot_id


def _has_arrived(holder: Holder, update: UpdateParams) -> bool:
    """Whether the caller runs the release that the holder got its slot for."""
    target = None if holder.update is None else holder.update.target
    return target is not None and update.current == target
