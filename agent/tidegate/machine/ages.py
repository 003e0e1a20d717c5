"""For how long releases have been on offer to this host, whatever is done to its clock meanwhile.

The time of the first offer is kept by the wall clock, since it has to outlive boots. A wall clock that jumps ahead
would make every release old at once. So an age never grows faster than the boot clock within one run of the agent,
until a new wall clock has lasted for :data:`SETTLED_SECS`; and never beyond what the wall clock shows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tidegate.clock import BUILT_AFTER, Now
from tidegate.discovery.base import Offers
from tidegate.discovery.policy import Cause, PassedOver
from tidegate.machine.state import State
from tidegate.printable import duration

SETTLED_SECS = 3600.0
"""A clock that was set ahead by mistake is corrected sooner, by its time server at the latest."""


def first_seen(state: State, offers: Offers, now: Now) -> State:
    """Remember since when each release is on offer, where somebody asks for an age.

    An instant before this version was built comes from a clock that was wrong, and says nothing.
    """
    known = {payload: at for payload, at in state.records.first_seen.items() if at >= BUILT_AFTER}
    wanted = state.policy.min_release_age_secs > 0
    first = {one.payload: known.get(one.payload, now.wall) for one in offers.candidates} if wanted else {}
    return (
        state if first == state.records.first_seen else replace(state, records=replace(state.records, first_seen=first))
    )


def young(state: State, now: Now) -> dict[str, str]:
    """Return the payloads that were not on offer for long enough, and why."""
    least_secs = state.policy.min_release_age_secs
    wall = _earliest(state, now)
    why = f"is on offer for less than {duration(least_secs)}, as updates.min_release_age_secs has it"
    ages = {payload: (wall - since).total_seconds() for payload, since in state.records.first_seen.items()}
    return {payload: why for payload, age_secs in ages.items() if age_secs < least_secs}


def clock_set(state: State, now: Now) -> State:
    """The wall clock was set: what was old enough by the other one may be young, also where it is staged already."""
    state = replace(state, clock_set_at=now.boot_secs)
    reasons = young(state, now)
    others = tuple(one for one in state.passed_over if one.cause is not Cause.YOUNG)
    found = (PassedOver(one, Cause.YOUNG, reasons[one.payload]) for one in state.offered if one.payload in reasons)
    return replace(state, passed_over=(*others, *found))


def clock_settled(state: State, now: Now) -> State:
    """Go by the wall clock from here on, where it has not been set for long enough."""
    set_at = state.clock_set_at
    settled = set_at is None or now.boot_secs - set_at >= SETTLED_SECS
    return replace(state, clock_base=now, clock_set_at=None) if settled else state


def _earliest(state: State, now: Now) -> datetime:
    base = state.clock_base
    if base is None:
        return now.wall
    return min(now.wall, base.wall + timedelta(seconds=now.boot_secs - base.boot_secs))
