"""Properties of a semaphore under any commands, in any order, by any rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.clock import START
from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.group_state import MAX_CHANGES, GroupState, decide
from tidegate.coordinator.model import Answer, Call, Command, ForceRelease, Granted, Released, Rules, Semaphore
from tidegate.fleetlock.protocol import ClientParams, UpdateParams, Verb

HOSTS = st.sampled_from([f"host-{n}" for n in range(7)])
BOOTS = st.none() | st.sampled_from(["a" * 32, "b" * 32])


def _call(verb: Verb, host: str, boot_id: str | None) -> Call:
    update = None if boot_id is None else UpdateParams(boot_id=boot_id)
    return Call(verb, ClientParams(host, "g"), "::1", update)


CALLS = st.builds(_call, st.sampled_from(Verb), HOSTS, BOOTS)
COMMANDS = CALLS | st.builds(ForceRelease, HOSTS, st.just("root"), st.just(""))
RULES = st.builds(
    Rules,
    st.integers(0, 4),
    st.none() | st.integers(60, 300),
    st.sampled_from([0, 0, 30, 120]),
    st.sampled_from([0, 0, 10]),
)
STEPS = st.lists(st.tuples(st.integers(0, 200), st.lists(COMMANDS, max_size=6)), max_size=20)


def at(secs: int) -> GroupTime:
    return GroupTime(START + timedelta(seconds=secs))


def held(semaphore: Semaphore) -> set[str]:
    return {*semaphore.holders}


@settings(max_examples=40)
@given(RULES, STEPS)
def test_never_more_holders_than_slots(rules: Rules, steps: list[tuple[int, list[Command]]]) -> None:
    semaphore, secs = Semaphore(), 0
    for passed, commands in steps:
        secs += passed
        decision = decide(GroupState(semaphore), commands, rules, at(secs), "g")
        assert len(decision.answers) == len(commands)
        semaphore = decision.change.state.semaphore if decision.change else semaphore
        assert len(semaphore.holders) <= rules.slots


@settings(max_examples=40)
@given(st.lists(st.tuples(RULES, st.lists(COMMANDS, max_size=8)), max_size=12))
def test_with_rules_that_change_nobody_new_gets_in_above_the_slots(steps: list[tuple[Rules, list[Command]]]) -> None:
    semaphore = Semaphore()
    for secs, (rules, commands) in enumerate(steps):
        decision = decide(GroupState(semaphore), commands, rules, at(secs), "g")
        after = decision.change.state.semaphore if decision.change else semaphore
        if held(after) - held(semaphore):
            assert len(after.holders) <= max(rules.slots, len(semaphore.holders))
        semaphore = after


@settings(max_examples=40)
@given(RULES, st.lists(COMMANDS, max_size=12), st.lists(COMMANDS, max_size=12))
def test_all_at_once_is_as_one_by_one(rules: Rules, before: list[Command], commands: list[Command]) -> None:
    rules = replace(rules, lock_ttl_secs=None)
    first = decide(GroupState(), before, rules, at(0), "g").change
    start = first.state.semaphore if first else Semaphore()
    together = decide(GroupState(start), commands, rules, at(60), "g")
    semaphore, answers = start, list[Answer]()
    for command in commands:
        one = decide(GroupState(semaphore), [command], rules, at(60), "g")
        semaphore = one.change.state.semaphore if one.change else semaphore
        answers += one.answers
    assert together.answers == tuple(answers)
    assert (together.change.state.semaphore if together.change else start) == semaphore


@given(RULES, st.lists(CALLS, max_size=12), CALLS)
def test_asking_twice_is_as_asking_once(rules: Rules, before: list[Command], call: Call) -> None:
    """The answer to the first was lost."""
    first = decide(GroupState(), [*before, call], rules, at(0), "g")
    semaphore = first.change.state.semaphore if first.change else Semaphore()
    again = decide(GroupState(semaphore), [call], rules, at(0), "g")
    assert isinstance(again.answers[-1], Granted | Released) == isinstance(first.answers[-1], Granted | Released)
    assert held(again.change.state.semaphore if again.change else semaphore) == held(semaphore)


@given(RULES, st.lists(CALLS, max_size=12), HOSTS)
def test_giving_back_frees_nobody_else(rules: Rules, before: list[Command], host: str) -> None:
    first = decide(GroupState(), before, rules, at(0), "g").change
    semaphore = first.state.semaphore if first else Semaphore()
    call = Call(Verb.STEADY_STATE, ClientParams(host, "g"), "::1")
    decision = decide(GroupState(semaphore), [call], rules, at(0), "g")
    assert decision.answers == (Released(held=host in semaphore.holders),)
    assert held(decision.change.state.semaphore if decision.change else semaphore) == held(semaphore) - {host}


@given(RULES, st.lists(COMMANDS, max_size=8), st.lists(COMMANDS, max_size=8))
def test_what_is_touched_is_what_differs(rules: Rules, before: list[Command], commands: list[Command]) -> None:
    """A store writes the holders that are named as touched, and no others."""
    first = decide(GroupState(), before, rules, at(0), "g").change
    semaphore = first.state.semaphore if first else Semaphore()
    change = decide(GroupState(semaphore), commands, rules, at(1), "g").change
    if change is None:
        return
    everybody = held(semaphore) | held(change.state.semaphore)
    differing = {one for one in everybody if semaphore.holders.get(one) != change.state.semaphore.holders.get(one)}
    assert differing <= change.touched
    assert len(change.touched) <= MAX_CHANGES
