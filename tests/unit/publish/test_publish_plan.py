"""What can be done to a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.publish.graphs import DAY_SECS, NOW, graph_of, metadata_of, new, payload_of, ways
from tidegate.discovery.graph_keys import AGE_INDEX_KEY, BARRIER_KEY, DEAD_END_KEY, DEAD_END_REASON_KEY, SCHEME_KEY
from tidegate.discovery.rollout import DURATION_KEY, ROLLOUT_KEY, START_EPOCH_KEY, START_VALUE_KEY, Rollout, rollout_of
from tidegate.errors import ErrorKind, TidegateError
from tidegate.publish import plan
from tidegate.publish.document import Document
from tidegate.publish.plan import FromLast, FromVersions

EPOCH = int(NOW.timestamp())
TWO_DAYS = Rollout(EPOCH, 0.1, 2 * DAY_SECS)


def refusal(graph: Document, release: plan.NewRelease) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        plan.with_release(graph, release)
    return caught.value


# A release


def test_the_first_release_is_alone() -> None:
    graph = graph_of("1")
    assert ways(graph) == set()
    assert metadata_of(graph, "1") == {SCHEME_KEY: "checksum", AGE_INDEX_KEY: "0"}


def test_edges_lead_from_every_older_release() -> None:
    assert ways(graph_of("1", "2", "3")) == {("1", "2"), ("1", "3"), ("2", "3")}


@pytest.mark.parametrize(
    ("origins", "from_where"),
    [
        (FromLast(0), set[str]()),
        (FromLast(2), {"2", "3"}),
        (FromLast(9), {"1", "2", "3"}),
        (FromVersions(("1", "3", "1")), {"1", "3"}),
    ],
)
def test_edges_lead_from_where_they_are_asked_to(origins: plan.Origins, from_where: set[str]) -> None:
    graph = plan.with_release(graph_of("1", "2", "3"), new("4", origins))
    assert {source for source, target in ways(graph) if target == "4"} == from_where
    assert len(graph.edges) == 3 + len(from_where)


def test_an_origin_that_is_not_there_is_told_with_the_nearest() -> None:
    error = refusal(graph_of("1.0", "1.1", "20"), new("2", FromVersions(("1.2",))))
    assert (error.kind, error.message) == (ErrorKind.PUBLISH_REFUSED, "there is no release 1.2 in the graph")
    assert "1.1" in error.remedy


def test_the_same_again_changes_nothing_whatever_was_made_of_it() -> None:
    once = plan.with_release(graph_of("1"), new("2", rollout=TWO_DAYS))
    assert plan.with_release(once, new("2", rollout=TWO_DAYS)) is once
    later = plan.withdrawn(plan.rolled_out(once, "2", None), "2", "bad")
    assert plan.with_release(later, new("2", rollout=TWO_DAYS)) is later


def test_a_version_is_one_commit_and_a_commit_one_version() -> None:
    graph = graph_of("1", "2")
    other = refusal(graph, replace(new("2"), payload=payload_of("else")))
    assert f"2 is in the graph already, as {payload_of('2')}" in other.message
    twin = refusal(graph, replace(new("3"), payload=payload_of("2")))
    assert f"{payload_of('2')} is in the graph already, as 2" in twin.message


@pytest.mark.parametrize("version", ["", "a\nb", "x" * 201, "\udcff"])
def test_a_version_that_no_host_takes_is_refused(version: str) -> None:
    assert refusal(graph_of("1"), replace(new("v"), version=version)).kind is ErrorKind.ENGINE_BAD_ARGUMENT


def test_a_release_may_be_put_between_others() -> None:
    graph = plan.with_release(graph_of("1"), new("3", age_index=10))
    graph = plan.with_release(plan.withdrawn(graph, "3", "bad"), new("4", age_index=20))
    graph = plan.with_release(graph, new("2", FromVersions(("1",)), age_index=5))
    assert ways(graph) == {("1", "2"), ("1", "4"), ("3", "4"), ("2", "4")}, "and nothing leads to what is withdrawn"
    assert not plan.is_newest(graph, "2")
    assert plan.is_newest(graph, "4")


def test_what_is_withdrawn_is_not_what_the_branch_should_lead_to() -> None:
    graph = graph_of("1", "2", "3")
    assert [plan.is_newest(graph, version) for version in "123"] == [False, False, True]
    graph = plan.withdrawn(graph, "3", "bad")
    assert [plan.is_newest(graph, version) for version in "123"] == [False, True, True]


def test_an_edge_from_a_newer_release_is_refused() -> None:
    graph = plan.with_release(graph_of("1"), new("3", age_index=10))
    error = refusal(graph, new("2", FromVersions(("3",)), age_index=5))
    assert "3 is not older than the new release: its age index is 10, that of the new release 5" in error.message


def test_an_age_that_no_host_reads_is_refused() -> None:
    graph = plan.with_release(graph_of("1"), new("2", age_index=10**18 - 1))
    assert "age_index" in refusal(graph, new("3")).message


def test_marks_of_a_new_release() -> None:
    graph = plan.with_release(graph_of("1", "2"), new("3", rollout=TWO_DAYS, barrier=True, rollback_floor="2"))
    assert metadata_of(graph, "3") == {
        SCHEME_KEY: "checksum",
        AGE_INDEX_KEY: "2",
        BARRIER_KEY: "true",
        "org.tidegate.rollback-floor": "2",
        ROLLOUT_KEY: "true",
        START_EPOCH_KEY: str(EPOCH),
        START_VALUE_KEY: "0.1",
        DURATION_KEY: "2880",
    }
    assert rollout_of(graph.node("3").release) == TWO_DAYS


def test_a_rollback_floor_is_the_release_itself_or_an_older_one() -> None:
    assert plan.with_release(graph_of("1"), new("2", rollback_floor="2")).node("2").version == "2"
    assert "no release 9" in refusal(graph_of("1"), new("2", rollback_floor="9")).message
    newer = plan.with_release(graph_of("1"), new("3", age_index=9))
    for age_index in (5, 9):
        error = refusal(newer, new("2", FromLast(0), age_index=age_index, rollback_floor="3"))
        assert "3 is not older" in error.message


@pytest.mark.parametrize("rollout", [Rollout(EPOCH, 1.5, None), Rollout(10**13, 0.0, 60), Rollout(-1, 0.0, 60)])
def test_a_rollout_that_hosts_refuse_is_refused(rollout: Rollout) -> None:
    assert "the rollout of 2" in refusal(graph_of("1"), new("2", rollout=rollout)).message


# A release that is there


def test_nothing_leads_to_what_is_withdrawn_and_hosts_on_it_go_on() -> None:
    graph = plan.withdrawn(graph_of("1", "2", "3"), "2", "eats  disks\n")
    assert ways(graph) == {("1", "3"), ("2", "3")}
    assert metadata_of(graph, "2")["org.tidegate.withdrawn"] == "eats disks"
    assert plan.withdrawn(graph, "2", "eats disks") is graph
    assert ("2", "4") in ways(plan.with_release(graph, new("4")))


def test_a_withdrawal_may_be_taken_back() -> None:
    before = graph_of("1", "2", "3")
    after = plan.reinstated(plan.withdrawn(before, "2", "a mistake"), "2")
    assert ways(after) == ways(before)
    assert after.nodes == before.nodes
    assert plan.reinstated(after, "2") is after


def test_a_dead_end_says_why_and_may_be_lifted() -> None:
    before = graph_of("1", "2")
    graph = plan.dead_end(before, "1", "reinstall: the\ndisk layout changed")
    assert graph.graph.offers(payload_of("1")).dead_end == "reinstall: the disk layout changed"
    assert plan.no_dead_end(graph, "1").raw == before.raw
    assert {DEAD_END_KEY, DEAD_END_REASON_KEY} <= set(metadata_of(graph, "1"))


@pytest.mark.parametrize("change", [plan.withdrawn, plan.dead_end])
def test_a_reason_is_needed(change: Callable[[Document, str, str], Document]) -> None:
    with pytest.raises(TidegateError, match="the reason is empty"):
        change(graph_of("1"), "1", " \n")


def test_a_barrier_holds_back_what_lies_behind_and_may_be_lifted() -> None:
    before = graph_of("1", "2", "3")
    graph = plan.barrier(before, "2")
    assert [one.version for one in graph.graph.offers(payload_of("1")).candidates] == ["2"]
    assert plan.no_barrier(graph, "2").raw == before.raw


def test_takers_are_those_whose_hosts_go_there_the_newest_first() -> None:
    graph = graph_of("1", "2", "3", "4", "5")
    graph = plan.dead_end(plan.barrier(graph, "2"), "3", "gone")
    assert [node.version for node in plan.direct_sources(graph, "5")] == ["4", "2"]
    assert [node.version for node in plan.direct_sources(graph, "2")] == ["1"]


# Rollouts


def test_a_rollout_may_be_given_changed_and_completed() -> None:
    before = graph_of("1", "2")
    rolled = plan.rolled_out(before, "2", TWO_DAYS)
    stays = plan.rolled_out(rolled, "2", Rollout(EPOCH, 0.05, None))
    assert DURATION_KEY not in metadata_of(stays, "2"), "of the old line nothing is left"
    assert plan.rolled_out(stays, "2", None).raw == before.raw


def test_a_pause_keeps_who_was_offered_it_and_lets_nobody_else_in() -> None:
    rolled = plan.rolled_out(graph_of("1", "2"), "2", TWO_DAYS)
    noon = NOW + timedelta(days=1)
    held = plan.paused(rolled, "2", noon)
    for later in (noon, noon + timedelta(days=9)):
        rollout = rollout_of(held.node("2").release)
        assert rollout is not None
        assert rollout.share(later) == TWO_DAYS.share(noon) == pytest.approx(0.55)
    assert plan.paused(held, "2", noon) is held
    assert plan.reached(held, "2", noon) == pytest.approx(0.55)


def test_a_rollout_that_has_not_begun_pauses_before_anybody() -> None:
    rolled = plan.rolled_out(graph_of("1", "2"), "2", TWO_DAYS)
    held = plan.paused(rolled, "2", NOW - timedelta(hours=1))
    assert rollout_of(held.node("2").release) == Rollout(EPOCH, 0.0, None)


@pytest.mark.parametrize("days", [0.0, 2.0, 3.0])
def test_what_all_hosts_are_offered_has_no_rollout_to_pause(days: float) -> None:
    graph = plan.rolled_out(graph_of("1", "2"), "2", TWO_DAYS if days else None)
    for ask in (plan.paused, plan.reached):
        with pytest.raises(TidegateError, match="2 is offered to all hosts"):
            ask(graph, "2", NOW + timedelta(days=days))
