"""Agents in every situation that somebody may ask about, by a name for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.fakes.builders import (
    ALLOW,
    BAD_CONFIG,
    WAIT,
    WELL,
    Walk,
    arming,
    attempt,
    confirming,
    deciding,
    disarming,
    host,
    intent,
    offers,
    quick,
    requesting,
    staged,
    staging,
    steady,
    unhealthy,
    verifying,
)
from tests.fakes.clock import START
from tidegate.engines.base import Progress
from tidegate.errors import ErrorKind, Failure
from tidegate.fleetlock.account import FleetLocking, LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.health.judgement import HealthTerms
from tidegate.machine.events import PolicyChanged, Progressed
from tidegate.machine.state import FailureAction, Policy
from tidegate.records.model import LockRecord, LockState, Records
from tidegate.system.reboot import RebootAccepted

ACCOUNT = LockAccount("https://lock.example/", "workers", "0123abcd", 30.0)
FLEET = quick(Policy(fleet_lock=FleetLocking(ACCOUNT)))
MANUAL = quick(Policy(enabled=False))
UNREADABLE = Failure(ErrorKind.RECORD_UNREADABLE, "records.json: torn", "restore or remove it")
SILENT = Failure(ErrorKind.LOCK_UNCERTAIN, "no answer within 30 s", "see the lock server")
PLACE = "0123abcd in group workers at https://lock.example/"


def starting() -> Walk:
    """The host is being read."""
    return Walk()


def unread() -> Walk:
    """The host could not be read."""
    return Walk().fail()


def blocked() -> Walk:
    """Nothing is staged, and the configuration is bad."""
    return steady(quick(Policy(blocked=BAD_CONFIG)))


def blocked_staged() -> Walk:
    """A release is staged, and the configuration has gone bad."""
    return waits().feed(PolicyChanged(quick(Policy(blocked=BAD_CONFIG))))


def sealed() -> Walk:
    """The records cannot be read."""
    return steady(quick(Policy(blocked=UNREADABLE)))


def available() -> Walk:
    """Release 2 could not be staged."""
    return steady().wake().answer(offers("2")).fail()


def disabled() -> Walk:
    """Only a person can start anything."""
    return steady(MANUAL)


def disabled_staged() -> Walk:
    """A person had release 2 staged on a host without automatic updates."""
    return waits().feed(PolicyChanged(MANUAL))


def checked() -> Walk:
    """There is nothing newer."""
    return steady().wake().answer(offers())


def ended() -> Walk:
    """There never will be."""
    return steady().wake().answer(offers(dead_end="the stream has ended, see the release notes"))


def halfway() -> Walk:
    """Half of release 2 has been fetched."""
    walk = staging()
    return walk.feed(Progressed(walk.task.id, Progress("fetching", 0.5, 2_000_000)))


def waits() -> Walk:
    """A window is closed."""
    return deciding().answer(WAIT)


def exhausted() -> Walk:
    """Three attempts came to nothing."""
    return staged(records=Records(history=tuple(attempt(name=f"attempt-{number}") for number in range(3))))


def greeted() -> Walk:
    """A host in 1 whose lock server has been reached."""
    return steady(FLEET).wake().answer(LockReleased())


def fleet_staged() -> Walk:
    """Release 2 is staged on a host that needs a lock."""
    return greeted().wake().answer(offers("2")).answer(host(staged="2"))


def locking() -> Walk:
    """The lock server is being asked."""
    return fleet_staged().wake().answer(ALLOW)


def denied_lock() -> Walk:
    """The lock server said no, and when to ask again."""
    return locking().answer(LockBusy("2 of 2 slots are taken", retry_after_secs=600.0))


def lock_unknown() -> Walk:
    """The lock server did not answer; the slot may have been taken."""
    return locking().fail(SILENT)


def fleet_arming() -> Walk:
    """The lock is held."""
    return locking().answer(LockGranted())


def relocking() -> Walk:
    """Armed, the lock server is asked once more."""
    return fleet_arming().answer(host(staged="2", locked=False))


def startup_release() -> Walk:
    """The lock server has not been reached since the agent's start."""
    return steady(FLEET).wake().fail(SILENT)


def rebooting() -> Walk:
    """Logind took it."""
    return requesting().answer(RebootAccepted())


def pending() -> Walk:
    """The boot is not complete yet."""
    return verifying(policy=Policy()).answer(unhealthy("boot-complete.target is activating", "boot-complete"))


def accepting() -> Walk:
    """The boot is well, and the engine is being told."""
    return verifying().answer(WELL)


def leaving() -> Walk:
    """The boot is not well, and the way back is due."""
    rolling = quick(Policy(failure_action=FailureAction.ROLLBACK))
    return verifying(policy=rolling).answer(unhealthy("sshd.service failed"))


def deferred() -> Walk:
    """The way back waits for people who are logged in."""
    return leaving().wake().answer(WAIT)


def paused() -> Walk:
    """The boot is not well."""
    return verifying().answer(unhealthy("sshd.service failed"))


def fleet_verifying() -> Walk:
    """The boot for which the lock was taken is being verified."""
    earlier = intent()
    record = LockRecord(ACCOUNT, earlier.boot, LockState.HELD, START)
    patient = replace(FLEET, health=HealthTerms())
    walk = Walk(Records(earlier, lock=record), patient).answer(host("2", entries=("2", "1")))
    return walk.answer(unhealthy("boot-complete.target is activating", "boot-complete"))


def owed() -> Walk:
    """The lock has not been released yet while a newer release waits."""
    walk = fleet_staged()
    record = LockRecord(ACCOUNT, walk.state.boot, LockState.RELEASE_OWED, START)
    walk.state = replace(walk.state, records=replace(walk.state.records, lock=record))
    return walk.wake().fail(SILENT)


EVERY: tuple[Callable[[], Walk], ...] = (
    starting,
    unread,
    steady,
    checked,
    ended,
    blocked,
    blocked_staged,
    sealed,
    available,
    disabled,
    disabled_staged,
    staging,
    halfway,
    staged,
    waits,
    exhausted,
    deciding,
    arming,
    confirming,
    requesting,
    rebooting,
    disarming,
    verifying,
    pending,
    accepting,
    leaving,
    deferred,
    paused,
    startup_release,
    greeted,
    fleet_staged,
    locking,
    denied_lock,
    lock_unknown,
    fleet_arming,
    relocking,
    fleet_verifying,
    owed,
)
"""All of the above, and the builders' own."""
