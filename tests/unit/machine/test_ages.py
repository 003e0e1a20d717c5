"""updates.min_release_age_secs under clocks that are wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.fakes.builders import Walk, at, host, offers, release
from tidegate.clock import Now
from tidegate.discovery.policy import Cause
from tidegate.gates.base import Wait
from tidegate.machine.events import ClockSet, Completed, Event, Tick
from tidegate.machine.mandate import AUTOMATIC
from tidegate.machine.phases.staging import Staging
from tidegate.machine.phases.steady import Steady
from tidegate.machine.state import Policy, State
from tidegate.machine.state_gates import agent_waits
from tidegate.machine.step import begin, step
from tidegate.records.model import Records

DAY_SECS = 86_400.0
WEEK = Policy(min_release_age_secs=7 * DAY_SECS)
SHOWN = at(0).wall


class Host:
    """A host whose wall clock is ``ahead`` of the time; discovery offers release 2."""

    def __init__(self, records: Records | None = None, ahead: timedelta = timedelta()) -> None:
        self.secs = 0.0
        self.ahead = ahead
        first = Walk(records or Records(), WEEK)
        self.state, _ = begin(first.state.boot, WEEK, records or Records(), self.now)
        self.feed(Completed(1, host()))
        self.check()

    @property
    def now(self) -> Now:
        true = at(self.secs)
        return replace(true, wall=true.wall + self.ahead)

    def feed(self, event: Event) -> State:
        self.state, _ = step(self.state, event, self.now)
        return self.state

    def set_clock(self, ahead: timedelta) -> None:
        self.ahead = ahead
        self.feed(ClockSet())

    def check(self) -> State:
        self.state = replace(self.state, poll=replace(self.state.poll, due=self.now.boot_secs))
        self.feed(Tick())
        assert self.state.poll.task is not None
        return self.feed(Completed(self.state.poll.task, offers("2")))

    @property
    def is_young(self) -> bool:
        return any(one.cause is Cause.YOUNG for one in self.state.passed_over)


def test_a_clock_that_is_days_ahead_for_a_minute_makes_no_release_old() -> None:
    one = Host()
    one.set_clock(timedelta(days=8))
    for _ in range(6):
        one.secs += 10
        one.check()
        assert one.is_young
        assert isinstance(one.state.phase, Steady)
    one.set_clock(timedelta())
    one.check()
    assert one.is_young
    one.secs = 7 * DAY_SECS
    one.check()
    assert isinstance(one.state.phase, Staging)


def test_a_clock_that_was_put_right_is_believed_after_an_hour() -> None:
    """A board without a battery comes up where it went down, weeks behind."""
    seen = Records(first_seen={release("2").payload: SHOWN - timedelta(days=20)})
    one = Host(seen, ahead=timedelta(days=-20))
    assert one.is_young
    one.set_clock(timedelta())
    one.secs += 60
    one.check()
    assert one.is_young
    one.secs += 3600
    one.check()
    assert isinstance(one.state.phase, Staging)


def test_a_clock_before_the_program_was_built_dates_nothing() -> None:
    one = Host(Records(first_seen={release("2").payload: datetime(1970, 1, 1, tzinfo=UTC)}))
    assert one.is_young


def test_a_release_that_was_staged_by_a_wrong_clock_waits_until_it_is_old_enough() -> None:
    """The host came up with the wrong clock: nothing in this boot tells it from a right one."""
    one = Host(Records(first_seen={release("2").payload: SHOWN - timedelta(days=1)}), ahead=timedelta(days=8))
    assert isinstance(one.state.phase, Staging)
    assert one.state.phase.task is not None
    one.feed(Completed(one.state.phase.task, host(staged="2")))
    one.set_clock(timedelta())
    assert one.is_young
    (wait,) = agent_waits(one.state, release("2"), AUTOMATIC)
    assert isinstance(wait, Wait)
    assert wait.gate == "version_policy"
    assert "is on offer for less than 7 d" in wait.reason
