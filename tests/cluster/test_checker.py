"""The checker finds every injected violation, and reports none in a correct history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import pytest

from tests.cluster.checker import LATE_SECS, Call, Findings, Rule, Seen, Verb, check
from tests.cluster.history import Timeline, Version

A, B, C = "a", "b", "c"


class AsNumbered:
    """Revision 7 was written at moment 7 exactly."""

    def earliest(self, revision: int) -> float:
        return float(revision)

    def latest(self, revision: int) -> float:
        return float(revision)


class Unknown:
    """Nobody looked."""

    def earliest(self, revision: int) -> float:
        return -inf

    def latest(self, revision: int) -> float:
        return inf


def lock(moment: float, revision: int | None = None, *, lost: bool = False, until: float | None = None) -> Call:
    """A call from just before ``moment`` to just after it."""
    seen = Seen.LOST if lost else Seen.YES
    return Call(Verb.LOCK, seen, moment - 0.4, until or moment + 0.4, revision)


def unlock(moment: float, *, lost: bool = False, until: float | None = None) -> Call:
    return Call(Verb.UNLOCK, Seen.LOST if lost else Seen.YES, moment - 0.4, until or moment + 0.4)


def record(*holders: Sequence[str] | None) -> list[Version]:
    """Versions 1, 2, 3 ..."""
    return [Version(number, None if one is None else tuple(one)) for number, one in enumerate(holders, 1)]


def judged(slots: int, versions: Sequence[Version], calls: Mapping[str, Sequence[Call]]) -> Findings:
    return check(slots, versions, calls, AsNumbered())


def broken(findings: Findings) -> set[Rule]:
    return {breach.rule for breach in findings.breaches}


CLEAN_RECORD = record([], [A], [A, B], [B], [])
CLEAN_CALLS = {A: [lock(2, 2), unlock(4)], B: [lock(3, 3), unlock(5)]}


def test_what_is_right_is_found_right_and_counted() -> None:
    found = judged(2, CLEAN_RECORD, CLEAN_CALLS)
    assert found == Findings(2, versions=5, most_holders=2, most_believers=2, cycles=2)


def test_a_lock_that_was_lost_and_took_effect_is_explained_and_counted() -> None:
    calls = {A: [lock(2, lost=True), lock(2.9, 2), unlock(4)]}
    found = judged(1, record([], [A], [A], []), calls)
    assert (found.breaches, found.lost_calls, found.landed_unseen, found.cycles) == ([], 1, 1, 1)


def test_a_lock_that_was_lost_and_one_that_took_effect_long_after_it_was_given_up() -> None:
    """The client asked to be rid of it in vain, since it came later; its last question frees the slot."""
    calls = {A: [lock(1, lost=True), unlock(2), unlock(5)]}
    found = judged(1, record([], [], [], [A], []), calls)
    assert (found.breaches, found.landed_unseen) == ([], 1)


def test_a_lock_that_was_lost_cannot_explain_everything_for_ever() -> None:
    late = 2 + int(LATE_SECS) + 1
    found = judged(1, [Version(late, (A,)), Version(late + 1, ())], {A: [lock(1, lost=True), unlock(late + 1)]})
    assert broken(found) == {Rule.HELD_UNASKED}


def test_one_call_makes_one_change() -> None:
    calls = {A: [lock(2, lost=True, until=5), unlock(3), unlock(5)]}
    assert broken(judged(1, record([], [A], [], [A], []), calls)) == {Rule.HELD_UNASKED}


def test_an_unlock_that_was_lost_and_asked_again_is_explained() -> None:
    calls = {A: [lock(2, 2), unlock(3, lost=True), unlock(3.9)], B: [lock(4, 4), unlock(5)]}
    assert judged(1, record([], [A], [], [B], []), calls).breaches == []


def test_a_double_grant_in_the_record_is_found() -> None:
    assert broken(judged(1, CLEAN_RECORD, CLEAN_CALLS)) == {Rule.TOO_MANY_HOLDERS, Rule.TOO_MANY_BELIEVERS}


def test_a_double_grant_that_only_clients_see_is_found() -> None:
    """Each of two stores has one holder; this is the record of the first one."""
    found = judged(1, record([], [A], [A], [A], []), {A: [lock(2, 2), unlock(5)], B: [lock(3, 2), unlock(4)]})
    assert broken(found) == {Rule.TOO_MANY_BELIEVERS, Rule.GRANT_NOT_WRITTEN}


def test_a_double_grant_of_an_instant_is_found() -> None:
    calls = {A: [lock(2), Call(Verb.UNLOCK, Seen.YES, 3.001, 5)], B: [Call(Verb.LOCK, Seen.YES, 1, 3), unlock(9)]}
    found = check(1, (), calls, Unknown())
    assert Rule.TOO_MANY_BELIEVERS in broken(found)


def test_one_that_begins_to_give_back_when_the_next_is_granted_is_no_double_grant() -> None:
    calls = {A: [lock(2, 2), Call(Verb.UNLOCK, Seen.YES, 3, 5)], B: [Call(Verb.LOCK, Seen.YES, 1, 3, 3), unlock(4)]}
    assert judged(1, record([], [A], [B], []), calls).breaches == []


def test_a_holder_twice_in_the_record_is_found() -> None:
    found = judged(2, record([], [A, A], []), {A: [lock(2, 2), unlock(3)]})
    assert broken(found) == {Rule.TWICE_IN_RECORD}


def test_a_lost_holder_is_found() -> None:
    """Another call's write went over it."""
    calls = {A: [lock(2, 2), unlock(5)], B: [lock(3, 3), unlock(4)]}
    found = judged(2, record([], [A], [B], []), calls)
    assert broken(found) == {Rule.FREED_UNASKED, Rule.FREED_TOO_EARLY}


def test_a_holder_that_a_late_unlock_frees_is_found() -> None:
    """The unlock of the cycle before, given up by its client, comes after the client's next lock."""
    calls = {A: [lock(2, 2), unlock(3, lost=True), unlock(3.5), lock(4, 4), unlock(6)]}
    found = judged(1, record([], [A], [], [A], []), calls)
    assert broken(found) == {Rule.FREED_TOO_EARLY}


@pytest.mark.parametrize("revision", [2, None])
def test_a_grant_that_is_not_in_the_record_is_found(revision: int | None) -> None:
    found = judged(1, record([], []), {A: [lock(2, revision), unlock(3)]})
    assert broken(found) == {Rule.GRANT_NOT_WRITTEN}


def test_a_release_that_is_not_in_the_record_is_found() -> None:
    found = judged(1, record([], [A]), {A: [lock(2, 2), unlock(3)]})
    assert broken(found) == {Rule.RELEASE_NOT_WRITTEN, Rule.LEFT_OVER}


def test_a_release_and_a_late_lock_in_one_write_are_explained() -> None:
    """The lock came late and was carried out after the unlock; only the last question makes a version without it."""
    calls = {A: [lock(2, lost=True), lock(3, lost=True), unlock(4), unlock(6)]}
    assert judged(1, record([], [A], [A], [A], [A], []), calls).breaches == []


def test_a_holder_whom_nobody_asked_for_is_found() -> None:
    found = judged(2, record([], [C], []), {})
    assert broken(found) == {Rule.HELD_UNASKED, Rule.FREED_UNASKED}


def test_a_refused_client_that_gets_into_the_record_is_found() -> None:
    """Refusals are not in the log: they explain nothing."""
    found = judged(1, record([], [A], []), {A: [unlock(3)]})
    assert broken(found) == {Rule.HELD_UNASKED}


def test_a_slot_that_is_never_given_back_is_found() -> None:
    found = judged(1, record([], [A]), {A: [lock(2, 2)]})
    assert broken(found) == {Rule.LEFT_OVER}


def test_a_deleted_record_is_found() -> None:
    found = judged(1, record([], None), {})
    assert broken(found) == {Rule.RECORD_GONE}


def test_without_times_only_what_is_certain_is_broken() -> None:
    """Store and clients agree on what happened, whatever the moments were."""
    assert check(2, CLEAN_RECORD, CLEAN_CALLS, Unknown()).breaches == []


class TestTimeline:
    """Bounds from reads."""

    def test_a_revision_was_written_between_the_last_read_without_and_the_first_with_it(self) -> None:
        timeline = Timeline()
        timeline.saw(3, 1.0, 1.1)
        timeline.saw(3, 2.0, 2.1)
        timeline.saw(7, 3.0, 3.1)
        assert (timeline.earliest(5), timeline.latest(5)) == (2.0, 3.1)
        assert (timeline.earliest(7), timeline.latest(7)) == (2.0, 3.1)
        assert (timeline.earliest(3), timeline.latest(3)) == (-inf, 1.1)
        assert (timeline.earliest(8), timeline.latest(8)) == (3.0, inf)

    def test_without_reads_nothing_is_known(self) -> None:
        assert (Timeline().earliest(1), Timeline().latest(1)) == (-inf, inf)

    def test_a_store_that_goes_back_is_an_error(self) -> None:
        timeline = Timeline()
        timeline.saw(3, 1.0, 1.1)
        with pytest.raises(ValueError, match="from revision 3 to 2"):
            timeline.saw(2, 2.0, 2.1)
