"""Helpers that the files of the machine share: taking ids, keeping and clearing troubles, answering people."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.gates.base import Verdict, waits
from tidegate.machine.effects import Effect, Reply
from tidegate.machine.events import HostView
from tidegate.machine.phase import Phase
from tidegate.machine.state import State, Step, Trouble
from tidegate.release import Release

CHECKING = ("discovery", "net", "identity", "agent")
SWITCHING = ("engine", "bus", "record", "agent")
"""Areas of errors: of checking for releases, and of staging, arming and confirming one."""

HOST_GOING_DOWN = Failure(ErrorKind.AGENT_BUSY, "the host is going down", "ask again after the boot")

MAX_BACKOFF_DOUBLINGS = 5
"""A failing check or staging is tried again at 2, 4 ... 32 times the steady interval."""


MIN_RETRY_AFTER_SECS = 5.0
MAX_RETRY_AFTER_SECS = 3600.0
"""A server that wants to be left alone for longer is asked every hour all the same; one that says "at once" is not
asked every second: with a lock, each time costs two writes to the disk."""


def left_alone_secs(retry_after_secs: float | None) -> float:
    """How long a server is left alone that wished for so long, or did not say."""
    return 0.0 if retry_after_secs is None else min(max(retry_after_secs, MIN_RETRY_AFTER_SECS), MAX_RETRY_AFTER_SECS)


def take_id(state: State) -> tuple[int, State]:
    """An id for a task, and the state that will not give it out again."""
    return state.next_id, replace(state, next_id=state.next_id + 1)


def enter(state: State, phase: Phase) -> State:
    """The state in another phase."""
    return replace(state, phase=phase)


def troubled(state: State, failure: Failure, now: Now) -> State:
    """The state with ``failure`` as what is wrong; the same failure again is counted, and keeps its beginning."""
    known = state.trouble
    if known is not None and known.failure.kind is failure.kind:
        return replace(state, trouble=replace(known, failure=failure, count=known.count + 1))
    return replace(state, trouble=Trouble(failure, now.wall))


def recovered(state: State, *areas: str) -> State:
    """The state without a trouble of one of ``areas`` (the first part of a kind): something there went right."""
    known = state.trouble
    cleared = known is not None and known.failure.area in areas
    return replace(state, trouble=None) if cleared else state


def refusal(verdicts: tuple[Verdict, ...]) -> Failure:
    """The gates that wait, as the answer to a person who asked for a reboot."""
    held = waits(verdicts)
    return Failure(
        ErrorKind.REBOOT_REFUSED,
        "; ".join(f"{wait.gate}: {wait.reason}" for wait in held),
        "; ".join(wait.remedy for wait in held if wait.remedy),
    )


def without_effect(observed: str) -> Failure:
    """An engine that reported success, and its own status shows none."""
    text = f"the engine reports success, and {observed}"
    return Failure(ErrorKind.ENGINE_FAILED, text, "see the engine's own account: journalctl -u tidegate-engine.service")


def reply(request: int | None, answer: str | Failure) -> tuple[Effect, ...]:
    """The answer to ``request``, where a person asked."""
    return () if request is None else (Reply(request, answer),)


def turned_away(state: State, why: Failure) -> Step:
    """Reply to every person who waits for a check or a staging why there will be none."""
    return replace(state, requests=()), tuple(Reply(request.id, why) for request in state.requests)


def backed_off(state: State, failures: int, now: Now, wished_secs: float = 0.0) -> float:
    """Return when (boot clock) to ask discovery again after consecutive ``failures``, not before ``wished_secs``."""
    pause_secs = state.policy.steady_interval_secs * 2.0 ** min(failures, MAX_BACKOFF_DOUBLINGS)
    return now.boot_secs + spread(state, max(pause_secs, wished_secs))


def spread(state: State, secs: float) -> float:
    """``secs`` and up to a tenth more, another tenth on each host and each time: fleets must not march in step."""
    return secs * (1.0 + 0.1 * draw(state))


def draw(state: State) -> float:
    """A number from 0 to 1, not included: another one on each host, after each boot and for each task."""
    seed = f"{state.policy.host_seed} {state.boot.boot_id} {state.boot.init_ticks} {state.next_id}"
    return crc32(seed.encode()) / 2**32


def seen(state: State, host: HostView) -> State:
    """The state with the host's latest account of itself; a shutdown that was announced stays announced."""
    down = state.shutting_down or host.shutting_down
    return replace(
        state, host=host.engine, failed_units=host.failed_units, shutting_down=down, last_boot=host.last_boot
    )


def booted_release(state: State) -> Release:
    """The release that the host runs; it has been read by now."""
    assert state.host is not None  # noqa: S101 - every phase but the first is entered after the host was read
    return Release(state.host.booted.version, state.host.booted.payload)
