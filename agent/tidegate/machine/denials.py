"""The deny list as people write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.machine.effects import WARNING, Announce, Effect, Reply
from tidegate.machine.events import AllowAsked, DenyAsked
from tidegate.machine.parts import enter
from tidegate.machine.phases import marking_good
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.waiting import Available, RollbackPending, Staged
from tidegate.machine.state import State, Step
from tidegate.machine.topics import Topic
from tidegate.records.model import Denial, DenialCause
from tidegate.release import Release


def deny_asked(state: State, event: DenyAsked, now: Now) -> Step:
    """A release is never to be staged again; one that waits for its reboot waits no longer, nor one to go back to."""
    found = _named(event.release, _known(state))
    if isinstance(found, Failure):
        return state, (Reply(event.request_id, found),)
    due = state.records.rollback
    going_back = due is not None and due.target.payload == found.payload
    if going_back and not isinstance(state.phase, RollbackPending):
        return state, (Reply(event.request_id, _busy(f"the host is just going back to {found.version}")),)
    if going_back:
        state = enter(replace(state, records=replace(state.records, rollback=None)), Steady())
    denial = Denial(found, DenialCause.PERSON, event.reason, now.wall)
    state = replace(state, records=state.records.with_denied(denial))
    if _waits_for(state) == found.payload:
        state = enter(state, Steady())
    note = Announce(Topic.DENIED, WARNING, f"{found.version} is denied: {event.reason}", found.version)
    return state, (Reply(event.request_id, f"{found.version} is denied{_but_booted(state, found)}"), note)


def allow_asked(state: State, event: AllowAsked, now: Now) -> Step:
    """A denial is lifted. A rollback that is due because of it is not due any more."""
    denied = [denial.release for denial in state.records.denied]
    found = _named(event.release, denied, otherwise=f"{event.release} is not denied")
    if isinstance(found, Failure):
        return state, (Reply(event.request_id, found),)
    due = state.records.rollback
    staying = due is not None and due.origin.payload == found.payload
    if staying and not isinstance(state.phase, RollbackPending):
        return state, (Reply(event.request_id, _busy(f"the host is just leaving {found.version}")),)
    records = state.records.without_denied(found.payload)
    state = replace(state, records=records, poll=replace(state.poll, due=now.boot_secs))
    note = Announce(Topic.ALLOWED, WARNING, f"{found.version} is allowed again: {event.reason}", found.version)
    answers: tuple[Effect, ...] = (Reply(event.request_id, f"{found.version} is allowed again"), note)
    if not staying:
        return state, answers
    state = replace(state, records=replace(state.records, rollback=None))
    state, effects = marking_good.accept(state, f"not left after all: {event.reason}")
    return state, (*answers, *effects)


def _busy(why: str) -> Failure:
    return Failure(ErrorKind.AGENT_BUSY, why, "ask again after the boot")


def _waits_for(state: State) -> str | None:
    """The payload that is staged, or could be."""
    match state.phase:
        case Staged(target=release) | Available(target=release) | Steady(wanted=Release() as release):
            return release.payload
        case _:
            return None


def _but_booted(state: State, release: Release) -> str:
    booted = state.host is not None and state.host.booted.payload == release.payload
    return "; the host runs it, and stays in it: see tidegate rollback" if booted else ""


def _known(state: State) -> Iterator[Release]:
    """The releases that a person may mean by a version."""
    host = state.host
    if host is not None:
        here = [host.booted, *host.entries, *([] if host.staged is None else [host.staged])]
        yield from (Release(one.version, one.payload) for one in here)
    yield from state.offered
    yield from (held.release for held in state.deferred)
    yield from (attempt.target for attempt in state.records.history)
    yield from (denial.release for denial in state.records.denied)


def _named(name: str, known: Iterable[Release], otherwise: str = "") -> Release | Failure:
    """The one release that ``name``, a version or a payload, stands for."""
    found = {release.payload: release for release in known if name in (release.version, release.payload)}
    if len(found) == 1:
        release = next(iter(found.values()))
        return Release(release.version, release.payload)
    if found:
        payloads = ", ".join(sorted(found))
        several = f"{name} may be any of {len(found)} releases: {payloads}"
        return Failure(ErrorKind.AGENT_BAD_REQUEST, several, "name it by its payload")
    what = otherwise or f"no release {name} is on this host, on offer to it or in its history"
    return Failure(ErrorKind.AGENT_UNKNOWN_RELEASE, what, "see tidegate status --json")
