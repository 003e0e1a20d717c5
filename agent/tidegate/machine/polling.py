"""Discovery: when it is asked, and what its answer leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from math import ceil

from tidegate.clock import Now
from tidegate.discovery.base import Deferred, Offers
from tidegate.discovery.policy import Rules, choose
from tidegate.engines.registry import scheme_of
from tidegate.errors import ErrorKind, Failure
from tidegate.machine import ages
from tidegate.machine.effects import ERROR, WARNING, Announce, Effect, FindOffers, Reply
from tidegate.machine.parts import (
    CHECKING,
    HOST_GOING_DOWN,
    backed_off,
    booted_release,
    draw,
    enter,
    left_alone_secs,
    recovered,
    spread,
    take_id,
    troubled,
    turned_away,
)
from tidegate.machine.phases import waiting
from tidegate.machine.phases.staging import Staging, stage
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.waiting import Available, Staged
from tidegate.machine.state import Poll, Request, State, Step
from tidegate.machine.topics import Topic
from tidegate.printable import duration
from tidegate.release import Release

LATE_SECS = 10.0
"""A timer that is this late was not on time because the host was suspended, or the agent busy with something else."""


def poll_due(state: State) -> float | None:
    """When (boot clock) discovery is to be asked, or None while it must not be."""
    idle = state.phase.checks_for_releases and state.poll.task is None and not state.shutting_down
    wanted = state.policy.enabled or state.requests
    return state.poll.due if idle and wanted and state.policy.blocked is None else None


def first_due(state: State, now: Now) -> float:
    """When (boot clock) discovery is asked after a start or a resume: hosts that power up together do not ask together.

    Never later than one interval.
    """
    policy = state.policy
    return now.boot_secs + draw(state) * min(policy.start_delay_secs, policy.steady_interval_secs)


def poll(state: State, now: Now) -> Step:
    """Ask discovery; later where the time for it has passed unseen, as while the host was suspended."""
    overdue_secs = now.boot_secs - state.poll.due
    if overdue_secs > LATE_SECS and state.policy.start_delay_secs and not state.requests:
        return replace(state, poll=replace(state.poll, due=max(first_due(state, now), now.boot_secs + 1.0))), ()
    stream = None if state.host is None else state.host.stream
    booted = booted_release(state)
    task, state = take_id(state)
    return replace(state, poll=replace(state.poll, task=task)), (FindOffers(task, booted, stream),)


def offers_found(state: State, offers: Offers, now: Now) -> Step:
    """Discovery answered: choose the target, and stage it if that is wanted."""
    due = now.boot_secs + spread(state, state.policy.steady_interval_secs)
    polled = Poll(due, staging_failures=state.poll.staging_failures, checked_at=now.wall)
    notes = (*_dead_end_met(state, offers), *_flaws_met(state, offers))
    known = offers.booted_known
    state = recovered(state, *CHECKING) if known else troubled(state, _unknown_booted(state), now)
    state = ages.first_seen(ages.clock_settled(replace(state, poll=polled), now), offers, now)
    choice = choose(offers, rules(state, now))
    state = replace(
        state,
        dead_end=offers.dead_end,
        source_flaws=(offers.flaw_count, offers.flaws),
        offered=offers.candidates,
        deferred=offers.deferred,
        passed_over=choice.passed_over,
    )
    state, withdrawn = _withdrawn(state, offers)
    found = _nothing_new(state, now) if choice.target is None else _target_found(state, choice.target, now)
    return found[0], (*notes, *withdrawn, *found[1])


def rules(state: State, now: Now) -> Rules:
    """The releases that this host accepts."""
    policy = state.policy
    return Rules(
        denied={denial.release.payload: denial.cause for denial in state.records.denied},
        allow_downgrade=policy.allow_downgrade,
        scheme=scheme_of(booted_release(state).payload),
        pin=policy.pin,
        max_version=policy.max_version,
        young=ages.young(state, now),
    )


def _dead_end_met(state: State, offers: Offers) -> tuple[Effect, ...]:
    if offers.dead_end is None or offers.dead_end == state.dead_end:
        return ()
    version = booted_release(state).version
    text = f"there are no further updates from {version}: {offers.dead_end}"
    return (Announce(Topic.DEAD_END, ERROR, text, version),)


def _flaws_met(state: State, offers: Offers) -> tuple[Effect, ...]:
    if not offers.flaw_count or state.source_flaws == (offers.flaw_count, offers.flaws):
        return ()
    count = f"{offers.flaw_count} flaw{'' if offers.flaw_count == 1 else 's'}"
    text = f"the update graph has {count}, and what has them is left out: {'; '.join(offers.flaws)}"
    return (Announce(Topic.SOURCE_FLAWED, WARNING, text),)


def _withdrawn(state: State, offers: Offers) -> Step:
    """A release that waits for its reboot and is no longer on offer was withdrawn: its publisher has a reason.

    A source that names only its newest release says nothing of the others.
    """
    whole = offers.complete and offers.booted_known
    match state.phase:
        case Staged(target=target) | Available(target=target) if whole and not _is_offered(target, offers):
            text = f"{target.version} is staged and no longer on offer to this host: it waits until it is again"
            notes = (Announce(Topic.WITHDRAWN, WARNING, text, target.version),) if _is_staged(state, target) else ()
            return enter(state, Steady()), notes
        case _:
            return state, ()


def _is_offered(target: Release, offers: Offers) -> bool:
    return any(one.payload == target.payload for one in offers.candidates)


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
    notes = (Announce(Topic.CHECK_FAILED, WARNING, f"check failed: {failure.message}"),) if first else ()
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
    steady = isinstance(state.phase, Steady | Available)
    text = "no newer release is offered" if steady else "nothing newer than the staged release is offered"
    text = "; ".join((text, *(_deferral(held, now) for held in state.deferred)))
    answers = tuple(Reply(request.id, text) for request in state.requests)
    phase = Steady() if isinstance(state.phase, Steady | Available) else state.phase
    return replace(state, phase=phase, requests=(), poll=replace(state.poll, staging_failures=0)), answers


def _target_found(state: State, target: Release, now: Now) -> Step:
    outcome = "is staged, and nothing newer is offered" if _is_staged(state, target) else "is available"
    answers = tuple(Reply(r.id, f"{target.version} {outcome}") for r in state.requests if not r.wants_staging)
    staging_asked = tuple(request for request in state.requests if request.wants_staging)
    state = replace(state, requests=staging_asked)
    busy = _why_not_now(state)
    if busy is not None:
        return _target_noted(state, target, busy, answers)
    if isinstance(state.phase, Staged) and _is_staged(state, target):
        state = waiting.still_offered(state, state.phase, target, now)
        already = tuple(Reply(request.id, f"{target.version} is staged already") for request in staging_asked)
        return replace(state, requests=()), (*answers, *already)
    if not state.stages_first:
        return _after_the_gates(state, target, answers, now)
    if state.policy.enabled or staging_asked:
        state, effects = stage(state, target, _since(state, now))
    elif isinstance(state.phase, Staged):
        effects = ()
    else:
        state, effects = enter(state, Steady(wanted=target)), ()
    return state, (*answers, *effects)


def _after_the_gates(state: State, target: Release, answers: tuple[Effect, ...], now: Now) -> Step:
    """The order, or the engine, stages only after the gates; a person may stage where that changes nothing yet."""
    locked = state.host is None or state.host.traits.stages_locked
    if state.requests and locked:
        state, effects = stage(state, target, _since(state, now))
        return state, (*answers, *effects)
    if state.requests:
        text = f"staging {target.version} would make it the next boot's on this host"
        state, refusals = turned_away(state, Failure(ErrorKind.REBOOT_REFUSED, text, "tidegate apply --reason TEXT"))
        answers = (*answers, *refusals)
    known = state.phase
    if isinstance(known, Available) and known.target.payload == target.payload:
        return state, answers
    return waiting.wait(state, target, waiting.waiting_since(state, now), (), now), answers


def _since(state: State, now: Now) -> datetime:
    """A newer release takes over since when the host waits."""
    return state.phase.since if isinstance(state.phase, Staged | Available) else now.wall


def _is_staged(state: State, target: Release) -> bool:
    return isinstance(state.phase, Staged) and state.phase.target.payload == target.payload


def _target_noted(state: State, target: Release, busy: Failure, answers: tuple[Effect, ...]) -> Step:
    """A person's apply, a shutdown or new settings came while discovery was asked: what it found stays untouched."""
    state, refusals = turned_away(state, busy)
    phase = Steady(wanted=target) if isinstance(state.phase, Steady) else state.phase
    return enter(state, phase), (*answers, *refusals)


def _deferral(held: Deferred, now: Now) -> str:
    """``42.2 is offered to 34 % of hosts now, this host's turn is in 3 h 10 min``."""
    if held.turn_at is None:
        return f"{held.release.version} {held.reason}"
    left = duration(60 * ceil((held.turn_at - now.wall).total_seconds() / 60))
    return f"{held.release.version} {held.reason}, this host's turn is in {left}"


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
    if not isinstance(state.phase, Steady | Staged | Available | Staging):
        return Failure(ErrorKind.AGENT_BUSY, f"the agent is {state.phase.activity}", "ask again when that is over")
    return None
