"""What a host may go through, each with what must have come of it in the end, whatever struck on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.engine import PIECE_BYTES, RELEASE_BYTES, payload_of
from tests.faults.world import BrokenRuleError, Rig
from tidegate.gates.base import Allow, Wait
from tidegate.machine.events import HealthPending, Refused
from tidegate.machine.phases import Steady
from tidegate.records import Outcome


@dataclass(frozen=True, slots=True)
class Scenario:
    """``prepare`` sets the host up, ``reached`` says when the story is over, ``check`` what must hold then."""

    name: str
    versions: tuple[str, ...]
    prepare: Callable[[Rig], None]
    reached: Callable[[Rig], bool]
    check: Callable[[Rig], None]


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenRuleError(what)


def _steady(rig: Rig) -> bool:
    return rig.state is not None and isinstance(rig.state.phase, Steady) and rig.state.records.intent is None


def _on(version: str) -> Callable[[Rig], bool]:
    """Settled in ``version``, verified, with nothing further to do."""

    def reached(rig: Rig) -> bool:
        checked = rig.state is not None and rig.state.poll.checked_at is not None
        return _steady(rig) and checked and rig.host.booted.version == version

    return reached


def _denied(rig: Rig) -> bool:
    """Settled, with a release denied."""
    return _steady(rig) and bool(rig.disk.load().denied)


def _nothing(_rig: Rig) -> None:
    return


def _common(rig: Rig) -> None:
    """What must hold at the end of every story."""
    records = rig.disk.load()
    _require(records.intent is None, "an intent is left on disk")
    _require(rig.host.staged is None or rig.host.staged.locked, "the next boot is left armed")
    ids = [attempt.id for attempt in records.history]
    _require(len(ids) == len(set(ids)), "an attempt is in the history twice")
    wasted = rig.host.transferred_bytes - RELEASE_BYTES * (len(rig.discovery.versions) - 1)
    _require(wasted <= PIECE_BYTES, f"{wasted} bytes were fetched twice")


def _applied(rig: Rig) -> None:
    _common(rig)
    records = rig.disk.load()
    last = records.history[-1]
    _require(last.outcome == Outcome.APPLIED, f"the last outcome is {last.outcome}")
    _require(last.target.payload == rig.host.booted.payload, "the last attempt is not about the booted release")
    _require(rig.host.booted.payload in rig.host.marked_good, "the booted release was not marked good")
    _require(not records.denied, f"denied without evidence: {records.denied}")
    others = [attempt for attempt in records.history[:-1] if attempt.outcome != Outcome.NOT_ATTEMPTED]
    _require(not others, f"outcomes that nothing explains: {others}")
    _require(len(rig.host.boots) <= 2 + 2 * rig.power_cuts, f"{len(rig.host.boots)} boots for one update")


def _fell_back(rig: Rig) -> None:
    _common(rig)
    records = rig.disk.load()
    _require([denial.release.payload for denial in records.denied] == [payload_of("2")], "2 is not denied, once")
    _require(rig.host.booted.version == "1", "not on the release that works")
    _require(rig.host.entries[0].version == "1", "the next boot leads into the denied release")


def _finalize_failed_then_applied(rig: Rig) -> None:
    _common(rig)
    records = rig.disk.load()
    _require(not records.denied, "a failed switch is not evidence against the release")
    _require(records.history[-1].outcome == Outcome.APPLIED, "never applied")


def _gave_up(rig: Rig) -> bool:
    return rig.state is not None and any("attempts in a row" in wait.reason for wait in _waits(rig))


def _waits(rig: Rig) -> list[Wait]:
    verdicts = getattr(rig.state.phase, "verdicts", ()) if rig.state is not None else ()
    return [verdict for verdict in verdicts if isinstance(verdict, Wait)]


def _deaf_check(rig: Rig) -> None:
    records = rig.disk.load()
    _require(records.intent is None, "an intent is left on disk")
    _require(rig.host.staged is not None and rig.host.staged.locked, "not staged and locked")
    _require(not records.denied, "denied without evidence")
    _require(len(rig.host.boots) <= 1 + rig.power_cuts, "it rebooted after all")
    _require(rig.logind.requests <= 5, f"{rig.logind.requests} requests to a logind that does nothing")


def _logind_refuses(rig: Rig) -> None:
    rig.logind.answers.extend([Refused("a backup is running"), Refused("a backup is running")])


def _second_thoughts(rig: Rig) -> None:
    """The gates allow, then the last look says no; later they allow for good."""
    rig.gate.answers.append(Allow("scripted"))
    rig.gate.answers.append(Wait("scripted", "the window has closed"))


def _finalize_fails_once(rig: Rig) -> None:
    rig.host.fail_next_finalize("could not write the boot entry")


def _loader_falls_back(rig: Rig) -> None:
    rig.boot_into = ["1"] * 4


def _slow_health(rig: Rig) -> None:
    rig.health.answers.extend([HealthPending("boot-complete.target is activating")] * 3)


def _deaf(rig: Rig) -> None:
    rig.logind.deaf = True


SCENARIOS = (
    Scenario("update", ("1", "2"), _nothing, _on("2"), _applied),
    Scenario("slow health", ("1", "2"), _slow_health, _on("2"), _applied),
    Scenario("gate closes at the last look", ("1", "2"), _second_thoughts, _on("2"), _applied),
    Scenario("logind refuses twice", ("1", "2"), _logind_refuses, _on("2"), _applied),
    Scenario("boot loader falls back", ("1", "2"), _loader_falls_back, _denied, _fell_back),
    Scenario("switch fails once", ("1", "2"), _finalize_fails_once, _on("2"), _finalize_failed_then_applied),
    Scenario("logind says yes, host stays up", ("1", "2"), _deaf, _gave_up, _deaf_check),
)
