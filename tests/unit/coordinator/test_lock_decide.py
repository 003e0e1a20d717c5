"""The rules of a semaphore."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.group_state import MAX_CHANGES, Decision, GroupState, decide
from tidegate.coordinator.lock import FULL_RETRY_SECS, MAX_EXPIRED, expires_at
from tidegate.coordinator.model import (
    Answer,
    Call,
    Command,
    DenialKind,
    Denied,
    ForceRelease,
    Granted,
    Holder,
    Released,
    Rules,
    Semaphore,
    SyncSlots,
)
from tidegate.fleetlock.protocol import ClientParams, ReleaseTag, UpdateParams, Verb

BOOT, OTHER_BOOT = "a" * 32, "b" * 32
FIRST, AGAIN = Granted(renewed=False, revision=0), Granted(renewed=True, revision=0)
FREED, NOTHING = Released(held=True), Released(held=False)


def call(
    verb: Verb, host: str, boot_id: str | None = None, address: str = "10.0.0.1", uptime_secs: int | None = None
) -> Call:
    update = None if boot_id is None else UpdateParams(boot_id=boot_id, uptime_secs=uptime_secs)
    return Call(verb, ClientParams(host, "workers"), address, update)


def lock(host: str, boot_id: str | None = None, address: str = "10.0.0.1", uptime_secs: int | None = None) -> Call:
    return call(Verb.PRE_REBOOT, host, boot_id, address, uptime_secs)


def unlock(host: str, boot_id: str | None = None, uptime_secs: int | None = None) -> Call:
    return call(Verb.STEADY_STATE, host, boot_id, uptime_secs=uptime_secs)


def after(secs: float, *, sure: bool = True) -> GroupTime:
    return GroupTime(START + timedelta(seconds=secs), sure)


class Group:
    """A semaphore that decisions are carried out on."""

    def __init__(self, rules: Rules, semaphore: Semaphore | None = None) -> None:
        self.rules, self.semaphore = rules, semaphore or Semaphore()

    def ask(self, *commands: Command, at: float = 0, sure: bool = True) -> tuple[Answer, ...]:
        return self.decide(*commands, at=at, sure=sure).answers

    def decide(self, *commands: Command, at: float = 0, sure: bool = True) -> Decision:
        decision = decide(GroupState(self.semaphore), commands, self.rules, after(at, sure=sure), "workers")
        if decision.change is not None:
            self.semaphore = decision.change.state.semaphore
        return decision

    @property
    def holders(self) -> set[str]:
        return {*self.semaphore.holders}


def kinds(*answers: Answer) -> list[DenialKind | None]:
    return [answer.kind if isinstance(answer, Denied) else None for answer in answers]


def test_slots_are_given_out_until_there_are_none() -> None:
    group = Group(Rules(slots=2))
    first, second, third = group.ask(lock("a"), lock("b"), lock("c"))
    assert (first, second) == (FIRST, FIRST)
    assert isinstance(third, Denied)
    assert third.kind is DenialKind.SEMAPHORE_FULL
    assert third.retry_after_secs == FULL_RETRY_SECS
    assert third.value == (
        "2 of 2 slots of group workers are held: a (since 2026-03-02T10:00:00Z), b (since 2026-03-02T10:00:00Z)"
    )


def test_a_denial_changes_nothing() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a"))
    assert group.decide(lock("b"), lock("c")).change is None


def test_a_denial_names_the_oldest_holders_and_counts_the_others() -> None:
    group = Group(Rules(slots=5))
    for number, host in enumerate("edcba"):
        group.ask(lock(host), at=number)
    (denied,) = group.ask(lock("x"), at=60)
    assert isinstance(denied, Denied)
    assert [denied.value.index(f"{host} (since") for host in "edc"] == sorted(
        denied.value.index(f"{h} (") for h in "edc"
    )
    assert denied.value.endswith("and 2 more")


def test_who_holds_is_told_so_again_and_counts_once() -> None:
    group = Group(Rules(slots=2))
    group.ask(lock("a"))
    assert group.ask(lock("a"), lock("a"), lock("b"), lock("c"), at=5)[:3] == (AGAIN, AGAIN, FIRST)
    assert group.holders == {"a", "b"}
    holder = group.semaphore.holders["a"]
    assert (holder.since, holder.last_seen) == (START, START + timedelta(seconds=5))


def test_giving_back_frees_the_callers_slot_only() -> None:
    group = Group(Rules(slots=2))
    group.ask(lock("a"), lock("b"))
    assert group.ask(unlock("a"), unlock("a"), unlock("never seen")) == (FREED, NOTHING, NOTHING)
    assert group.holders == {"b"}


def test_an_unlock_without_a_slot_is_written_and_changes_no_slot() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a"))
    change = group.decide(*(unlock(f"h{n}") for n in range(500)), at=1).change
    assert change is not None
    assert (change.touched, change.audit_events, {*change.state.semaphore.holders}) == (frozenset(), (), {"a"})


def test_commands_are_carried_out_as_they_came() -> None:
    """A client gave up waiting for its lock and sent the unlock after it."""
    group = Group(Rules(slots=1))
    assert group.ask(lock("a"), unlock("a"), lock("b"), unlock("a")) == (FIRST, FREED, FIRST, NOTHING)
    assert group.holders == {"b"}


def test_an_id_is_taken_as_it_is_written() -> None:
    assert Group(Rules(slots=2)).ask(lock("a"), lock("A")) == (FIRST, FIRST)


def test_without_slots_nobody_goes_but_who_holds_may() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a"))
    group.rules = Rules(slots=0)
    again, other = group.ask(lock("a"), lock("b"))
    assert again == AGAIN
    assert isinstance(other, Denied)
    assert other.value == "group workers has no slots: none of its hosts may reboot"


def test_fewer_slots_throw_nobody_out_and_let_nobody_in_until_there_is_room() -> None:
    group = Group(Rules(slots=3))
    group.ask(lock("a"), lock("b"), lock("c"))
    group.rules = Rules(slots=1)
    assert kinds(*group.ask(unlock("a"), lock("d"), unlock("b"), lock("d"))) == [
        *(None, DenialKind.SEMAPHORE_FULL, None, DenialKind.SEMAPHORE_FULL),
    ]
    assert group.ask(unlock("c"), lock("d")) == (FREED, FIRST)


def test_more_slots_count_at_once_and_are_written_with_the_next_change() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a"))
    group.rules = Rules(slots=2)
    assert group.ask(lock("b")) == (FIRST,)
    assert group.semaphore.slots == 2


def test_the_written_slots_follow_the_rules_on_command_only() -> None:
    """Two coordinators whose rules differ would else write against each other with every denial."""
    group = Group(Rules(slots=1))
    group.ask(lock("a"))
    group.rules = Rules(slots=0)
    assert group.decide(lock("b")).change is None
    change = group.decide(SyncSlots()).change
    assert change is not None
    assert (change.state.semaphore.slots, change.touched, {*change.state.semaphore.holders}) == (0, frozenset(), {"a"})
    assert group.decide(SyncSlots()).change is None


def test_two_hosts_with_one_id_are_not_both_granted_and_reported_once() -> None:
    group = Group(Rules(slots=2))
    group.ask(lock("a", BOOT))
    decision = group.decide(lock("a", OTHER_BOOT, "10.0.0.2"), lock("a", OTHER_BOOT, "10.0.0.2"))
    assert kinds(*decision.answers) == [DenialKind.ID_CONFLICT] * 2
    assert decision.change is not None
    assert [(one.what, one.by) for one in decision.change.audit_events] == [("rival", "10.0.0.2")]
    holder = group.semaphore.holders["a"]
    assert (holder.conflicting_boot_id, holder.address, holder.update) == (
        OTHER_BOOT,
        "10.0.0.1",
        UpdateParams(boot_id=BOOT),
    )
    assert group.ask(lock("a", BOOT)) == (AGAIN,)
    assert group.semaphore.holders["a"].conflicting_boot_id == OTHER_BOOT


def test_a_rival_that_was_found_frees_nothing_and_the_holder_does_after_its_reboot() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a", BOOT), lock("a", OTHER_BOOT))
    assert group.ask(unlock("a", OTHER_BOOT)) == (NOTHING,)
    assert group.holders == {"a"}
    assert group.ask(unlock("a", "c" * 32)) == (FREED,)


def test_a_host_that_ran_when_another_got_its_ids_slot_neither_gets_nor_frees_it() -> None:
    for verb in Verb:
        group = Group(Rules(slots=2))
        group.ask(lock("a", BOOT, uptime_secs=500))
        decision = group.decide(call(verb, "a", OTHER_BOOT, uptime_secs=400), at=300)
        assert not isinstance(decision.answers[0], Granted)
        assert decision.answers[0] != FREED
        assert group.semaphore.holders["a"].conflicting_boot_id == OTHER_BOOT
        assert group.ask(unlock("a", BOOT, uptime_secs=900), at=400) == (FREED,)


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("uptime_secs", [0, 290, 310])
def test_a_host_that_has_rebooted_is_not_its_own_rival(verb: Verb, uptime_secs: int) -> None:
    """310: another coordinator's clock lags by ten seconds."""
    group = Group(Rules(slots=1))
    group.ask(lock("a", BOOT, uptime_secs=5000))
    assert group.ask(call(verb, "a", OTHER_BOOT, uptime_secs=uptime_secs), at=300) == (
        (AGAIN if verb is Verb.PRE_REBOOT else FREED),
    )


def test_a_host_that_has_rebooted_and_keeps_its_slot_holds_it_by_its_new_boot() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a", BOOT, uptime_secs=5000))
    assert group.ask(lock("a", OTHER_BOOT, uptime_secs=60), at=300) == (AGAIN,)
    assert group.ask(unlock("a", OTHER_BOOT, uptime_secs=160), at=400) == (FREED,)


def test_a_host_without_an_age_that_runs_the_release_it_went_to_keeps_its_slot() -> None:
    old, new = ReleaseTag("42.1", "sha256:1"), ReleaseTag("42.2", "sha256:2")
    group = Group(Rules(slots=1))
    group.ask(replace(lock("a"), update=UpdateParams(boot_id=BOOT, current=old, target=new)))
    back = replace(lock("a"), update=UpdateParams(boot_id=OTHER_BOOT, current=new, target=old))
    assert group.ask(back, at=300) == (AGAIN,)


def test_a_clock_in_doubt_takes_no_host_for_a_rival_that_gives_its_slot_back() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a", BOOT, uptime_secs=500))
    assert group.ask(unlock("a", OTHER_BOOT, uptime_secs=400), at=1, sure=False) == (FREED,)


def test_a_host_that_says_no_boot_id_has_no_rival() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a"))
    group.ask(lock("a", BOOT))
    group.ask(lock("a"))
    assert group.semaphore.holders["a"].conflicting_boot_id is None
    assert group.semaphore.holders["a"].update == UpdateParams(boot_id=BOOT)


def test_a_grant_tells_the_history_where_the_host_goes() -> None:
    journey = UpdateParams(current=ReleaseTag("42.1", "sha256:1"), target=ReleaseTag("42.2", "sha256:2"))
    decision = Group(Rules(slots=1)).decide(replace(lock("a"), update=journey))
    assert decision.change is not None
    (granted,) = decision.change.audit_events
    assert (granted.at, granted.group, granted.id, granted.what) == (START, "workers", "a", "granted")
    assert (granted.by, granted.detail) == ("10.0.0.1", "from 42.1 to 42.2")


def test_a_person_takes_a_slot() -> None:
    group = Group(Rules(slots=1))
    group.ask(lock("a"))
    decision = group.decide(ForceRelease("a", "root", "burnt down"), ForceRelease("a", "root", "again"))
    assert decision.answers == (FREED, NOTHING)
    assert decision.change is not None
    (taken,) = decision.change.audit_events
    assert (taken.what, taken.by, taken.detail) == ("taken", "root", "burnt down; since 2026-03-02T10:00:00Z")


def test_a_slot_expires_when_its_time_is_over_and_another_needs_it() -> None:
    group = Group(Rules(slots=1, lock_ttl_secs=600))
    group.ask(lock("a"))
    assert kinds(*group.ask(lock("b"), at=599.9)) == [DenialKind.SEMAPHORE_FULL]
    decision = group.decide(lock("b"), at=600)
    assert decision.answers == (FIRST,)
    assert decision.change is not None
    assert [(one.what, one.id) for one in decision.change.audit_events] == [("expired", "a"), ("granted", "b")]
    assert group.holders == {"b"}


def test_a_slot_that_nobody_needs_stays_with_its_late_holder() -> None:
    group = Group(Rules(slots=2, lock_ttl_secs=600))
    group.ask(lock("a"))
    assert group.ask(lock("b"), lock("a"), at=9000) == (FIRST, AGAIN)


def test_the_time_of_a_slot_counts_from_the_last_yes() -> None:
    """A host that is told now that it may reboot must not lose its slot while it does."""
    group = Group(Rules(slots=1, lock_ttl_secs=600))
    group.ask(lock("a"))
    group.ask(lock("a"), at=590)
    assert kinds(*group.ask(lock("b"), at=700)) == [DenialKind.SEMAPHORE_FULL]
    assert group.ask(lock("b"), at=1190) == (FIRST,)


def test_a_holder_without_a_time_never_expires() -> None:
    foreign = Semaphore(1, {"a": Holder("a", since=None)})
    group = Group(Rules(slots=1, lock_ttl_secs=60), foreign)
    (denied,) = group.ask(lock("b"), at=1e9)
    assert isinstance(denied, Denied)
    assert "a (since an unknown time)" in denied.value
    assert group.ask(lock("a"), at=1e9) == (AGAIN,)
    assert group.semaphore.holders["a"].since is None
    assert kinds(*group.ask(lock("b"), at=2e9)) == [DenialKind.SEMAPHORE_FULL]


def test_a_slot_that_was_got_by_a_clock_in_doubt_never_expires() -> None:
    group = Group(Rules(slots=1, lock_ttl_secs=60))
    group.ask(lock("a"), sure=False)
    assert expires_at(group.semaphore.holders["a"], group.rules) is None


def test_only_so_many_expire_at_once() -> None:
    group = Group(Rules(slots=100, lock_ttl_secs=60))
    group.ask(*(lock(f"h{n}") for n in range(50)))
    group.ask(*(lock(f"h{n}") for n in range(50, 100)))
    decision = group.decide(lock("x"), at=1000)
    assert decision.change is not None
    assert len(decision.change.touched) == MAX_EXPIRED + 1


def test_a_slot_rests_after_it_was_given_back() -> None:
    group = Group(Rules(slots=2, release_delay_secs=30))
    group.ask(lock("a"), lock("b"))
    freed, denied = group.ask(unlock("a"), lock("c"), at=10)
    assert freed == FREED
    assert isinstance(denied, Denied)
    assert (denied.kind, denied.retry_after_secs) == (DenialKind.SLOT_COOLING, 30)
    (later,) = group.ask(lock("c"), at=39.5)
    assert isinstance(later, Denied)
    assert later.retry_after_secs == 1
    assert group.ask(lock("c"), at=40) == (FIRST,)
    assert group.semaphore.freed == ()


def test_a_resting_slot_does_not_hold_back_the_others() -> None:
    group = Group(Rules(slots=2, release_delay_secs=30))
    assert kinds(*group.ask(lock("a"), unlock("a"), lock("b"), lock("c"))) == [
        None,
        None,
        None,
        DenialKind.SLOT_COOLING,
    ]


def test_a_slot_that_is_taken_or_expires_rests_too() -> None:
    group = Group(Rules(slots=1, release_delay_secs=30, lock_ttl_secs=60))
    group.ask(lock("a"))
    assert kinds(*group.ask(ForceRelease("a", "root", "x"), lock("b"))) == [None, DenialKind.SLOT_COOLING]
    assert group.ask(lock("b"), at=30) == (FIRST,)
    assert kinds(*group.ask(lock("c"), at=90)) == [DenialKind.SLOT_COOLING]
    assert group.ask(lock("c"), at=120) == (FIRST,)


def test_rest_that_the_rules_no_longer_ask_for_is_over() -> None:
    group = Group(Rules(slots=1, release_delay_secs=3000))
    group.ask(lock("a"), unlock("a"))
    group.rules = Rules(slots=1)
    assert group.ask(lock("b")) == (FIRST,)


def test_grants_keep_their_distance() -> None:
    group = Group(Rules(slots=5, min_gap_secs=60))
    first, second = group.ask(lock("a"), lock("b"))
    assert first == FIRST
    assert isinstance(second, Denied)
    assert (second.kind, second.retry_after_secs) == (DenialKind.SLOT_COOLING, 60)
    assert group.ask(lock("a"), at=1) == (AGAIN,)
    assert kinds(*group.ask(lock("b"), at=59)) == [DenialKind.SLOT_COOLING]
    assert group.ask(lock("b"), at=60) == (FIRST,)


def test_a_decision_fits_into_a_transaction() -> None:
    commands = [lock(f"h{n}") for n in range(MAX_CHANGES + 20)]
    decision = Group(Rules(slots=1000)).decide(*commands)
    assert len(decision.answers) == MAX_CHANGES


def test_denials_do_not_count_against_that() -> None:
    group = Group(Rules(slots=1))
    assert len(group.ask(*(lock(f"h{n}") for n in range(1000)))) == 1000


def test_the_semaphore_that_came_in_is_left_alone() -> None:
    before = Semaphore(1, {"a": Holder("a", START)})
    decide(GroupState(before), [unlock("a"), lock("b")], Rules(slots=1), after(0), "workers")
    assert {*before.holders} == {"a"}
