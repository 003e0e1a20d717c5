"""Discovery: when it is asked, and what its answer leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import ceil

from tidegate.clock import Now
from tidegate.discovery.base import HeldBack, Offers
from tidegate.discovery.policy import CHECKSUM_SCHEME, Rules, choose, scheme_of
from tidegate.errors import ErrorKind, Failure
from tidegate.machine.effects import WARNING, Announce, Effect, FindOffers, Reply
from tidegate.machine.parts import (
    CHECKING,
    HOST_GOING_DOWN,
    backed_off,
    enter,
    left_alone_secs,
    phase_name,
    recovered,
    take_id,
    troubled,
    turned_away,
)
from tidegate.machine.phases import Staged, Staging, Steady
from tidegate.machine.state import Poll, Request, State, Step
from tidegate.machine.update import stage
from tidegate.release import Release


def poll_due(state: State) -> float | None:
    """When (boot clock) discovery is to be asked, or None while it must not be."""
    idle = isinstance(state.phase, Steady | Staged) and state.poll.task is None and not state.shutting_down
    wanted = state.policy.enabled or state.requests
    return state.poll.due if idle and wanted and state.policy.blocked is None else None


def poll(state: State) -> Step:
    """Ask discovery."""
    assert state.host is not None  # noqa: S101 - no phase that may poll is entered before the host was read
    booted, stream = Release(state.host.booted.version, state.host.booted.payload), state.host.stream
    task, state = take_id(state)
    return replace(state, poll=replace(state.poll, task=task)), (FindOffers(task, booted, stream),)


def offers_found(state: State, offers: Offers, now: Now) -> Step:
    """Discovery answered: choose the target, and stage it if that is wanted."""
    due = now.boot_secs + state.policy.steady_interval_secs
    polled = Poll(due, staging_failures=state.poll.staging_failures, checked_at=now.wall)
    state = replace(state, poll=polled, dead_end=offers.dead_end, held_back=offers.held_back)
    known = offers.booted_known
    state = recovered(state, *CHECKING) if known else troubled(state, _unknown_booted(state), now)
    denied = {denial.release.payload: denial.cause for denial in state.records.denied}
    scheme = scheme_of(state.host.booted.payload) if state.host is not None else CHECKSUM_SCHEME
    choice = choose(offers, Rules(denied, state.policy.allow_downgrade, scheme))
    if choice.target is None:
        return _nothing_new(state, now)
    return _target_found(state, choice.target, now)


def find_failed(state: State, failure: Failure, now: Now) -> Step:
    """Discovery did not answer: say so to whoever waits, ask again later."""
    failures = state.poll.failures + 1
    later = replace(
        state.poll,
        due=backed_off(state, failures, now, left_alone_secs(failure.retry_after_secs)),
        task=None,
        failures=failures,
    )
    state, answers = turned_away(replace(troubled(state, failure, now), poll=later), failure)
    first = failures == 1
    notes = (Announce(WARNING, f"check failed: {failure.message}"),) if first else ()
    return state, (*answers, *notes)


def asked(state: State, request: Request, now: Now) -> Step:
    """A person wants a check, or a staging: ask discovery at once."""
    busy = _why_not_now(state)
    if busy is not None:
        return state, (Reply(request.id, busy),)
    if isinstance(state.phase, Staging) and not request.wants_staging:
        return state, (Reply(request.id, f"{state.phase.target.version} is being staged"),)
    poll_now = replace(state.poll, due=now.boot_secs)
    return replace(state, requests=(*state.requests, request), poll=poll_now), ()


def _nothing_new(state: State, now: Now) -> Step:
    steady = isinstance(state.phase, Steady)
    text = "no newer release is offered" if steady else "nothing newer than the staged release is offered"
    text = "; ".join((text, *(_held_back(held, now) for held in state.held_back)))
    answers = tuple(Reply(request.id, text) for request in state.requests)
    phase = Steady() if steady else state.phase
    return replace(state, phase=phase, requests=(), poll=replace(state.poll, staging_failures=0)), answers


def _target_found(state: State, target: Release, now: Now) -> Step:
    answers = tuple(Reply(r.id, f"{target.version} is available") for r in state.requests if not r.wants_staging)
    staging_asked = tuple(request for request in state.requests if request.wants_staging)
    state = replace(state, requests=staging_asked)
    busy = _why_not_now(state)
    if busy is not None:
        return _target_noted(state, target, busy, answers)
    match state.phase:
        case Staged(target=staged) if staged.payload == target.payload:
            told = tuple(Reply(request.id, f"{target.version} is staged already") for request in staging_asked)
            return replace(state, requests=()), (*answers, *told)
        case Staged(since=since) if state.policy.enabled or staging_asked:
            state, effects = stage(state, target, since)
        case _ if state.policy.enabled or staging_asked:
            state, effects = stage(state, target, now.wall)
        case Staged():
            effects = ()
        case _:
            state, effects = enter(state, Steady(wanted=target)), ()
    return state, (*answers, *effects)


def _target_noted(state: State, target: Release, busy: Failure, answers: tuple[Effect, ...]) -> Step:
    """A person's apply, a shutdown or new settings came while discovery was asked: what it found stays untouched."""
    state, refusals = turned_away(state, busy)
    phase = Steady(wanted=target) if isinstance(state.phase, Steady) else state.phase
    return enter(state, phase), (*answers, *refusals)


def _held_back(held: HeldBack, now: Now) -> str:
    """``42.2 is offered to 34 % of hosts now, this host's turn is in 3 h 10 min``."""
    if held.turn_at is None:
        return f"{held.release.version} {held.reason}"
    wait = timedelta(minutes=ceil((held.turn_at - now.wall).total_seconds() / 60))
    hours, minutes = wait.seconds // 3600, wait.seconds % 3600 // 60
    parts = ((wait.days, "d"), (hours, "h"), (minutes, "min"))
    told = " ".join(f"{count} {unit}" for count, unit in parts if count)
    return f"{held.release.version} {held.reason}, this host's turn is in {told or '0 min'}"


def _unknown_booted(state: State) -> Failure:
    version = "?" if state.host is None else state.host.booted.version
    return Failure(
        ErrorKind.DISCOVERY_UNKNOWN_BOOTED,
        f"the update graph does not list the booted release {version}, so it offers no way on from it",
        "check that the graph is the one for this host's stream, or add the booted release to it",
    )


def _why_not_now(state: State) -> Failure | None:
    if state.policy.blocked is not None:
        return state.policy.blocked
    if state.shutting_down:
        return HOST_GOING_DOWN
    if not isinstance(state.phase, Steady | Staged | Staging):
        return Failure(ErrorKind.AGENT_BUSY, f"the agent is {phase_name(state)}", "ask again when that is over")
    return None
