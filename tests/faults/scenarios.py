"""Scenarios of a host, each with what must hold at its end, whatever fault was injected on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from tests.fakes.builders import quick, unhealthy
from tests.fakes.engine import PIECE_BYTES, RELEASE_BYTES, payload_of
from tests.fakes.lock_server import ACCOUNT, RIVAL
from tests.faults.parts import GRACE_SECS
from tests.faults.world import CUT_AMID_THE_SWITCH, BrokenRuleError, Rig
from tidegate.fleetlock.account import FleetLocking, LockRelease
from tidegate.gates.base import Allow, Wait
from tidegate.health.judgement import HealthTerms
from tidegate.machine.events import ResumeAsked, RollbackAsked
from tidegate.machine.mandate import AUTOMATIC
from tidegate.machine.phases.paused import Paused
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.waiting import Staged
from tidegate.machine.state import FailureAction, Policy
from tidegate.machine.state_gates import agent_waits
from tidegate.records.model import DenialCause, Outcome
from tidegate.system.reboot import RebootRefused


@dataclass(frozen=True, slots=True)
class Scenario:
    """``prepare`` sets the host up, ``reached`` says when the scenario is over, ``check`` what must hold then."""

    name: str
    versions: tuple[str, ...]
    prepare: Callable[[Rig], None]
    reached: Callable[[Rig], bool]
    check: Callable[[Rig], None]


def _require(agent_waits: bool, what: str) -> None:
    if not agent_waits:
        raise BrokenRuleError(what)


def _require_boots(rig: Rig, at_most: int) -> None:
    """Boots beside those of power cuts, and those that the engine makes in vain."""
    allowed = at_most + rig.vain_boots + 2 * rig.power_cuts
    _require(len(rig.host.boots) <= allowed, f"{len(rig.host.boots)} boots")


def _steady(rig: Rig) -> bool:
    return rig.state is not None and isinstance(rig.state.phase, Steady) and rig.state.records.intent is None


def is_on(version: str) -> Callable[[Rig], bool]:
    """Settled in ``version``, verified, with nothing further to do."""

    def reached(rig: Rig) -> bool:
        checked = rig.state is not None and rig.state.poll.checked_at is not None
        return _steady(rig) and checked and rig.host.booted.version == version and not _owes(rig)

    return reached


def _owes(rig: Rig) -> bool:
    return rig.state is not None and (rig.state.records.lock is not None or rig.state.lock.task is not None)


def is_on_denied(version: str) -> Callable[[Rig], bool]:
    """Settled in ``version``, with a release denied."""
    return lambda rig: is_on(version)(rig) and bool(rig.disk.load().denied)


def _denied(rig: Rig) -> bool:
    """Settled, with a release denied."""
    return _steady(rig) and bool(rig.disk.load().denied) and not _owes(rig)


def _nothing(_rig: Rig) -> None:
    return


def _common(rig: Rig) -> None:
    """What must hold at the end of every scenario."""
    records = rig.disk.load()
    _require(records.intent is None, "an intent is left on disk")
    _require(rig.host.staged is None or rig.host.staged.locked, "the next boot is left armed")
    ids = [attempt.id for attempt in records.history]
    _require(len(ids) == len(set(ids)), "an attempt is in the history twice")
    wasted = rig.host.transferred_bytes - RELEASE_BYTES * (len(rig.discovery.versions) - 1)
    _require(wasted <= PIECE_BYTES, f"{wasted} bytes were fetched twice")
    _require(records.lock is None and not rig.has_slot, "the lock was never given back")


def applied(rig: Rig) -> None:
    _common(rig)
    records = rig.disk.load()
    last = records.history[-1]
    _require(last.outcome == Outcome.APPLIED, f"the last outcome is {last.outcome}")
    _require(last.target.payload == rig.host.booted.payload, "the last attempt is not about the booted release")
    _require(rig.host.booted.payload in rig.host.marked_good, "the booted release was not marked good")
    _require(not records.denied, f"denied without evidence: {records.denied}")
    others = [attempt for attempt in records.history[:-1] if attempt.outcome != Outcome.NOT_ATTEMPTED]
    _require(not others, f"outcomes that nothing explains: {others}")
    _require(
        len(rig.host.boots) <= 2 + rig.vain_boots + 2 * rig.power_cuts, f"{len(rig.host.boots)} boots for one update"
    )


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


def gave_up(rig: Rig) -> bool:
    state = rig.state
    if state is None or not isinstance(state.phase, Staged):
        return False
    return any(wait.gate == "attempts" for wait in agent_waits(state, state.phase.target, AUTOMATIC))


def _deaf_check(rig: Rig) -> None:
    records = rig.disk.load()
    _require(records.intent is None, "an intent is left on disk")
    _require(rig.host.staged is not None and rig.host.staged.locked, "not staged and locked")
    _require(not records.denied, "denied without evidence")
    _require(len(rig.host.boots) <= 1 + rig.power_cuts, "it rebooted after all")
    _require(rig.logind.requests <= 5, f"{rig.logind.requests} requests to a logind that does nothing")


def _logind_refuses(rig: Rig) -> None:
    rig.logind.answers.extend([RebootRefused("a backup is running"), RebootRefused("a backup is running")])


def _second_thoughts(rig: Rig) -> None:
    """The gates allow, then the last look says no; later they allow for good."""
    rig.gate.answers.append(Allow("scripted"))
    rig.gate.answers.append(Wait("scripted", "the window has closed"))


def _finalize_fails_once(rig: Rig) -> None:
    rig.host.fail_next_finalize("could not write the boot entry")


def _loader_falls_back(rig: Rig) -> None:
    rig.boot_into = ["1"] * 4


def _slow_health(rig: Rig) -> None:
    rig.health.answers.extend([unhealthy("boot-complete.target is activating", "boot-complete")] * 3)


def _deaf(rig: Rig) -> None:
    rig.logind.deaf = True


# --------------------------------------------------------------------------- a release that is not well


def _not_well(action: FailureAction, version: str) -> Callable[[Rig], None]:
    def prepare(rig: Rig) -> None:
        rig.policy = quick(Policy(failure_action=action))
        rig.health.broken.add(version)

    return prepare


def rolled_back(rig: Rig) -> None:
    _common(rig)
    records = rig.disk.load()
    _require([one.release.payload for one in records.denied] == [payload_of("2")], "2 is not denied, once")
    _require(records.denied[0].cause == DenialCause.UNHEALTHY, f"denied for {records.denied[0].cause}")
    _require((rig.host.booted.version, rig.host.entries[0].version) == ("1", "1"), "not on the release that works")
    _require(payload_of("1") in rig.host.marked_good, "what was gone back to is not marked good")
    _require(payload_of("2") not in rig.host.marked_good, "what was left is marked good")
    outcomes = [attempt.outcome for attempt in records.history if attempt.outcome != Outcome.NOT_ATTEMPTED]
    _require(outcomes == [Outcome.REJECTED, Outcome.APPLIED], f"the outcomes are {outcomes}")
    _require(records.rollback is None, "the way back is due still")
    _require_boots(rig, 3)


def _kept_on_record(rig: Rig) -> None:
    applied(rig)
    _require("kept though unhealthy" in rig.disk.load().history[-1].detail, "nothing on record")


def paused_in(version: str) -> Callable[[Rig], bool]:
    def reached(rig: Rig) -> bool:
        paused = rig.state is not None and isinstance(rig.state.phase, Paused)
        return paused and rig.host.booted.version == version

    return reached


def _paused(rig: Rig) -> None:
    records = rig.disk.load()
    _require(not records.denied, "denied, though nobody wants it left")
    _require(records.verification is not None and bool(records.verification.bad), "the verdict is not on disk")
    _require(rig.has_slot or not rig.logind.locked, "the lock was given back")
    _require(
        len(rig.host.boots) <= 2 + rig.vain_boots + 2 * rig.power_cuts, f"{len(rig.host.boots)} boots for one update"
    )


def _both_unhealthy(rig: Rig) -> None:
    records = rig.disk.load()
    _require([one.release.payload for one in records.denied] == [payload_of("2")], "2 is not denied, once")
    _require(rig.has_slot or not rig.logind.locked, "the lock was given back")
    _require(len(rig.host.boots) <= 3 + 2 * rig.power_cuts, f"{len(rig.host.boots)} boots: a loop")


def _neither(rig: Rig) -> bool:
    """What was well before the update is not any more after it."""
    if rig.host.booted.version == "2":
        rig.health.broken.add("1")
        rig.locks.kept_in.add("1")
    return paused_in("1")(rig)


def _resumed(rig: Rig) -> bool:
    """A person says so as soon as the host is paused."""
    if rig.state is not None and isinstance(rig.state.phase, Paused):
        rig.asked.append(ResumeAsked(1, "it is only a test"))
    return is_on("2")(rig)


def _repaired(rig: Rig) -> bool:
    """A person repairs the host as soon as it is paused."""
    if rig.state is not None and isinstance(rig.state.phase, Paused):
        rig.health.broken.clear()
        rig.locks.kept_in.clear()
    return is_on("2")(rig)


def _long_watch(rig: Rig) -> None:
    rig.policy = Policy(health=HealthTerms(monitor_secs=30, interval_secs=10, start_delay_secs=10, retries=3))


def _sent_back(rig: Rig) -> bool:
    """A person wants the old release back as soon as the new one is applied."""
    if is_on("2")(rig) and rig.disk.load().denied == ():
        rig.asked.append(RollbackAsked(1, "it is slow"))
    return is_on("1")(rig) and bool(rig.disk.load().denied)


def _sent_back_check(rig: Rig) -> None:
    _common(rig)
    records = rig.disk.load()
    _require([one.cause for one in records.denied] == [DenialCause.PERSON], "2 is not denied, once, by a person")
    _require(
        (rig.host.booted.version, rig.host.entries[0].version) == ("1", "1"), "not on the release that was asked for"
    )
    _require_boots(rig, 3)


def _with_lock(prepare: Callable[[Rig], None]) -> Callable[[Rig], None]:
    """The same with a lock, which is to be kept for as long as the host is not well."""

    def prepared(rig: Rig) -> None:
        prepare(rig)
        _locked(rig)
        rig.locks.kept_in.update(rig.health.broken)

    return prepared


def _server_down_going_back(rig: Rig) -> None:
    """From the last look before the update on, for an hour."""
    _with_lock(_not_well(FailureAction.ROLLBACK, "2"))(rig)
    rig.locks.script.extend([lambda: None, lambda: _go_down(rig)])


# --------------------------------------------------------------------------- with a lock

HOUR = timedelta(hours=1)


def _locked(rig: Rig) -> None:
    rig.lock_with(FleetLocking(ACCOUNT))


def _locked_until_the_boot(rig: Rig) -> None:
    rig.lock_with(FleetLocking(ACCOUNT, release=LockRelease.AFTER_BOOT))


def _slot_taken(rig: Rig) -> None:
    """Another host has the slot, and is done after we have asked once."""
    _locked(rig)
    server = rig.locks.locks.at(ACCOUNT)
    server.strict = True
    server.pre_reboot(ACCOUNT.group, RIVAL)
    rig.locks.script.append(lambda: _leave(rig))


def _slot_lost(rig: Rig) -> None:
    """The server loses its state between the grant and the last look; another host is quicker, and done later."""
    _locked(rig)
    rig.locks.script.extend([lambda: rig.locks.take_away(ACCOUNT, RIVAL), lambda: _leave(rig)])


def _leave(rig: Rig) -> None:
    rig.locks.locks.at(ACCOUNT).steady_state(ACCOUNT.group, RIVAL)


def _server_down(rig: Rig) -> None:
    """When the agent starts, and for an hour."""
    _locked(rig)
    _go_down(rig)


def _server_hangs(rig: Rig) -> None:
    _server_down(rig)
    rig.locks.hangs = True


def _server_down_after_the_boot(rig: Rig) -> None:
    """From the moment at which it has granted the lock for the second time, for an hour."""
    _locked(rig)
    rig.locks.script.extend([lambda: None, lambda: _go_down(rig)])


def _go_down(rig: Rig) -> None:
    rig.locks.down_until = rig.clock.now().wall + HOUR


def _went_on_meanwhile(rig: Rig) -> None:
    applied(rig)
    end = rig.locks.down_until
    _require(
        end is not None and rig.staged_at is not None and rig.staged_at < end, "no staging while the server was down"
    )


def _checked_meanwhile(rig: Rig) -> None:
    applied(rig)
    end = rig.locks.down_until
    checks = 0 if end is None else sum(1 for wall in rig.discovery.asked_at if end - HOUR < wall < end)
    _require(end is None or checks >= 3, f"{checks} checks in the hour in which the server was down")


def _window_shuts(rig: Rig) -> None:
    _locked(rig)
    _second_thoughts(rig)


def _refused_with_lock(rig: Rig) -> None:
    _locked(rig)
    _logind_refuses(rig)


def _falls_back_with_lock(rig: Rig) -> None:
    _locked(rig)
    _loader_falls_back(rig)


def _switch_fails_with_lock(rig: Rig) -> None:
    _locked(rig)
    _finalize_fails_once(rig)


def _deaf_with_lock(rig: Rig) -> None:
    _locked(rig)
    _deaf(rig)


def _gave_up_unlocked(rig: Rig) -> bool:
    return gave_up(rig) and not _owes(rig)


def _deaf_check_with_lock(rig: Rig) -> None:
    _deaf_check(rig)
    _require(not rig.has_slot, "the lock was never given back")


def _somebody_logged_in(rig: Rig) -> None:
    _locked(rig)
    rig.people.there = True


def _noticed(rig: Rig) -> None:
    applied(rig)
    _require(bool(rig.people.told), "nobody was told")
    asked, (first, *_) = rig.logind.asked_at, rig.people.told
    _require(all((wall - first.wall).total_seconds() >= GRACE_SECS for wall in asked), "the grace was cut short")


def _two_hosts(rig: Rig) -> None:
    """They share one slot."""
    _locked(rig)
    other = Rig(rig.folder / "other", ["1", "2"], locks=rig.locks.locks, seed=1)
    other.lock_with(FleetLocking(replace(ACCOUNT, id=RIVAL)))
    rig.beside.append(other)


def _both_applied(rig: Rig) -> None:
    for one in (rig, *rig.beside):
        applied(one)


def _cut_amid_the_switch(rig: Rig) -> None:
    rig.boot_into = [CUT_AMID_THE_SWITCH]


def _cut_amid_the_way_back(rig: Rig) -> None:
    """The first boot is the one into the release that is not well."""
    _not_well(ROLLBACK, "2")(rig)
    rig.boot_into = [None, CUT_AMID_THE_SWITCH]


PAUSE, CONTINUE, ROLLBACK = FailureAction

SCENARIOS = (
    Scenario("update", ("1", "2"), _nothing, is_on("2"), applied),
    Scenario("slow health", ("1", "2"), _slow_health, is_on("2"), applied),
    Scenario("gate closes at the last look", ("1", "2"), _second_thoughts, is_on("2"), applied),
    Scenario("logind refuses twice", ("1", "2"), _logind_refuses, is_on("2"), applied),
    Scenario("boot loader falls back", ("1", "2"), _loader_falls_back, _denied, _fell_back),
    Scenario("power is cut amid the switch", ("1", "2"), _cut_amid_the_switch, is_on("2"), applied),
    Scenario("lock: cut amid the switch", ("1", "2"), _with_lock(_cut_amid_the_switch), is_on("2"), applied),
    Scenario("cut amid the way back", ("1", "2"), _cut_amid_the_way_back, is_on_denied("1"), rolled_back),
    Scenario("switch fails once", ("1", "2"), _finalize_fails_once, is_on("2"), _finalize_failed_then_applied),
    Scenario("logind says yes, host stays up", ("1", "2"), _deaf, gave_up, _deaf_check),
    Scenario("long watch", ("1", "2"), _long_watch, is_on("2"), applied),
    Scenario("not well: rolled back", ("1", "2"), _not_well(ROLLBACK, "2"), is_on_denied("1"), rolled_back),
    Scenario("not well: kept", ("1", "2"), _not_well(CONTINUE, "2"), is_on("2"), _kept_on_record),
    Scenario("not well: paused", ("1", "2"), _not_well(PAUSE, "2"), paused_in("2"), _paused),
    Scenario("not well: paused, resumed", ("1", "2"), _not_well(PAUSE, "2"), _resumed, applied),
    Scenario("not well: paused, mended", ("1", "2"), _not_well(PAUSE, "2"), _repaired, applied),
    Scenario("not well, nor what was before", ("1", "2"), _not_well(ROLLBACK, "2"), _neither, _both_unhealthy),
    Scenario("a person goes back", ("1", "2"), _nothing, _sent_back, _sent_back_check),
    Scenario("lock: rolled back", ("1", "2"), _with_lock(_not_well(ROLLBACK, "2")), is_on_denied("1"), rolled_back),
    Scenario("lock: rolled back, server down", ("1", "2"), _server_down_going_back, is_on_denied("1"), rolled_back),
    Scenario("lock: paused", ("1", "2"), _with_lock(_not_well(PAUSE, "2")), paused_in("2"), _paused),
    Scenario("lock: paused, mended", ("1", "2"), _with_lock(_not_well(PAUSE, "2")), _repaired, applied),
    Scenario("lock: neither is well", ("1", "2"), _with_lock(_not_well(ROLLBACK, "2")), _neither, _both_unhealthy),
    Scenario("lock: a person goes back", ("1", "2"), _locked, _sent_back, _sent_back_check),
    Scenario("lock: granted", ("1", "2"), _locked, is_on("2"), applied),
    Scenario("lock: given back after the boot", ("1", "2"), _locked_until_the_boot, is_on("2"), applied),
    Scenario("lock: denied, then granted", ("1", "2"), _slot_taken, is_on("2"), applied),
    Scenario("lock: window shuts after the grant", ("1", "2"), _window_shuts, is_on("2"), applied),
    Scenario("lock: lost before the last look", ("1", "2"), _slot_lost, is_on("2"), applied),
    Scenario("lock: server down at start", ("1", "2"), _server_down, is_on("2"), _went_on_meanwhile),
    Scenario("lock: server hangs at start", ("1", "2"), _server_hangs, is_on("2"), _went_on_meanwhile),
    Scenario("lock: server down after boot", ("1", "2"), _server_down_after_the_boot, is_on("2"), _checked_meanwhile),
    Scenario("lock: logind refuses twice", ("1", "2"), _refused_with_lock, is_on("2"), applied),
    Scenario("lock: boot loader falls back", ("1", "2"), _falls_back_with_lock, _denied, _fell_back),
    Scenario("lock: switch fails once", ("1", "2"), _switch_fails_with_lock, is_on("2"), _finalize_failed_then_applied),
    Scenario("lock: host stays up", ("1", "2"), _deaf_with_lock, _gave_up_unlocked, _deaf_check_with_lock),
    Scenario("lock: somebody is logged in", ("1", "2"), _somebody_logged_in, is_on("2"), _noticed),
    Scenario("lock: two hosts, one slot", ("1", "2"), _two_hosts, is_on("2"), _both_applied),
)

LOCKED = tuple(scenario for scenario in SCENARIOS if scenario.name.startswith("lock: "))
"""Those in which a reboot needs a lock: two thirds of the work."""
