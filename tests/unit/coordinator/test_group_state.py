"""Decisions on a whole group: semaphore, rollout and hosts in flight."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import START
from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.group_state import MAX_CHANGES, Change, GroupState, HostInFlight, decide
from tidegate.coordinator.lock import MAX_EXPIRED
from tidegate.coordinator.model import Call, Command, Denied, ForceRelease, Granted, Holder, Rules, Semaphore
from tidegate.fleetlock.protocol import ClientParams, Verb

ROLLOUT = {"state": "updating"}


def at(secs: float) -> GroupTime:
    return GroupTime(START + timedelta(seconds=secs))


def lock(host: str) -> Call:
    return Call(Verb.PRE_REBOOT, ClientParams(host, "g"), "::1")


def unlock(host: str) -> Call:
    return Call(Verb.STEADY_STATE, ClientParams(host, "g"), "::1")


def changed(state: GroupState, *commands: Command, secs: float = 0, rules: Rules | None = None) -> Change:
    change = decide(state, commands, rules or Rules(slots=2), at(secs), "g").change
    assert change is not None
    return change


def test_without_a_rollout_no_host_is_recorded() -> None:
    change = changed(GroupState(), lock("a"), lock("a"), unlock("b"))
    assert (change.state.in_flight, change.touched_hosts, change.rollout_changed) == ({}, frozenset(), False)


def test_with_a_rollout_a_host_is_in_flight_from_its_grant_to_its_return() -> None:
    first = changed(GroupState(rollout=ROLLOUT), lock("a"), lock("b"), lock("c"))
    assert first.state.in_flight == dict.fromkeys("ab", HostInFlight(START, START))
    assert first.touched_hosts == {"a", "b"}
    assert first.state.rollout is ROLLOUT
    second = changed(first.state, unlock("a"), secs=60)
    assert {*second.state.in_flight} == {"b"}
    assert second.touched_hosts == {"a"}


def test_each_report_of_a_host_in_flight_is_recorded_and_none_of_others() -> None:
    state = changed(GroupState(rollout=ROLLOUT), lock("a"), lock("b")).state
    change = changed(state, lock("a"), lock("c"), unlock("d"), secs=5)
    assert change.state.in_flight["a"] == HostInFlight(START, START + timedelta(seconds=5))
    assert change.touched_hosts == {"a"}
    assert decide(state, [lock("c")], Rules(slots=2), at(5), "g").change is None


def test_a_host_whose_slot_expired_is_in_flight_until_it_is_back() -> None:
    rules = Rules(slots=1, lock_ttl_secs=60)
    state = changed(GroupState(rollout=ROLLOUT), lock("a"), rules=rules).state
    state = changed(state, lock("b"), secs=100, rules=rules).state
    assert ({*state.semaphore.holders}, {*state.in_flight}) == ({"b"}, {"a", "b"})
    change = changed(state, unlock("a"), secs=200, rules=rules)
    assert ({*change.state.semaphore.holders}, {*change.state.in_flight}) == ({"b"}, {"b"})
    assert not change.touched
    assert change.touched_hosts == {"a"}


def test_a_host_that_an_operator_gave_up_is_not_in_flight() -> None:
    state = changed(GroupState(rollout=ROLLOUT), lock("a")).state
    assert changed(state, ForceRelease("a", "root", "burnt down")).state.in_flight == {}


def test_hosts_land_after_their_rollout_was_removed() -> None:
    state = changed(GroupState(rollout=ROLLOUT), lock("a")).state
    after = changed(GroupState(state.semaphore, None, state.in_flight), unlock("a"), lock("b")).state
    assert after.in_flight == {}


def test_the_state_that_came_in_is_left_alone() -> None:
    before = changed(GroupState(rollout=ROLLOUT), lock("a")).state
    changed(before, unlock("a"), lock("b"))
    assert {*before.in_flight} == {"a"}


def test_changes_of_hosts_count_against_the_limit() -> None:
    commands = [lock(f"h{n}") for n in range(2 * MAX_CHANGES)]
    decision = decide(GroupState(rollout=ROLLOUT), commands, Rules(slots=1000), at(0), "g")
    assert decision.change is not None
    assert len(decision.answers) == MAX_CHANGES // 2
    assert len(decision.change.touched) + len(decision.change.touched_hosts) == MAX_CHANGES


def full(slots: int) -> GroupState:
    return GroupState(Semaphore(slots, {f"old{n}": Holder(f"old{n}", START, START) for n in range(slots)}))


def test_expiry_counts_against_the_limit_and_goes_on_in_the_next_decision() -> None:
    """Nobody is denied a slot that only had no room to expire in this decision."""
    rules, state, granted = Rules(slots=200, lock_ttl_secs=60), full(200), 0
    waiting = [lock(f"h{n}") for n in range(100)]
    while waiting:
        decision = decide(state, waiting, rules, at(1000), "g")
        assert decision.change is not None
        assert decision.answers
        assert all(isinstance(answer, Granted) for answer in decision.answers)
        assert len(decision.change.touched) <= MAX_CHANGES
        granted += len(decision.answers)
        state, waiting = decision.change.state, waiting[len(decision.answers) :]
    assert granted == 100
    assert len(state.semaphore.holders) <= 200


def test_when_all_that_are_overdue_have_expired_the_others_are_denied() -> None:
    rules = Rules(slots=MAX_EXPIRED, lock_ttl_secs=60)
    waiting = [lock(f"h{n}") for n in range(MAX_EXPIRED + 1)]
    first = decide(full(MAX_EXPIRED), waiting, rules, at(1000), "g")
    assert first.change is not None
    rest = waiting[len(first.answers) :]
    answers = first.answers + (decide(first.change.state, rest, rules, at(1000), "g").answers if rest else ())
    assert [isinstance(answer, Denied) for answer in answers] == [False] * MAX_EXPIRED + [True]


HOSTS = st.sampled_from([f"h{n}" for n in range(5)])
COMMANDS = st.lists(
    st.builds(lock, HOSTS) | st.builds(unlock, HOSTS) | st.builds(ForceRelease, HOSTS, st.just("x"), st.just(""))
)


@given(COMMANDS, COMMANDS)
def test_the_touched_hosts_are_those_that_differ(before: list[Command], commands: list[Command]) -> None:
    first = decide(GroupState(rollout=ROLLOUT), before, Rules(slots=3), at(0), "g").change
    state = first.state if first else GroupState(rollout=ROLLOUT)
    assert {*state.in_flight} == {*state.semaphore.holders}
    change = decide(state, commands, Rules(slots=3), at(1), "g").change
    if change is None:
        return
    everybody = {*state.in_flight, *change.state.in_flight}
    differing = {one for one in everybody if state.in_flight.get(one) != change.state.in_flight.get(one)}
    assert differing <= change.touched_hosts
