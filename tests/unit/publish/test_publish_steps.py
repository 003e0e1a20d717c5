"""What a repository lacks, in an order that is safe at each point."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.publish.graphs import payload_of
from tidegate.publish.gpg import signers
from tidegate.publish.steps import (
    CopyCommit,
    Desired,
    DropDelta,
    MakeDelta,
    PointRef,
    RefreshSummary,
    RepositoryState,
    RepositoryStep,
    SignCommit,
    WriteGraph,
    describe,
    repository_steps,
)

C1, C2, C3 = map(payload_of, "123")
SOURCE = Path("/build")
BARE = RepositoryState(
    C3, has_commit=False, signed_by=frozenset(), deltas=frozenset(), ref_at=None, summary_current=False
)
WANTED = Desired(SOURCE, ("K",), (C2, C1), "os/stable")
WHOLE = RepositoryState(
    C3,
    has_commit=True,
    signed_by=frozenset({"K"}),
    deltas=frozenset({(C2, C3), (C1, C3)}),
    ref_at=C3,
    summary_current=True,
)


def test_objects_then_signature_then_deltas_then_ref_then_summary() -> None:
    assert repository_steps(BARE, WANTED) == (
        CopyCommit(SOURCE, C3),
        SignCommit(C3, "K"),
        MakeDelta((C2, C3)),
        MakeDelta((C1, C3)),
        PointRef("os/stable", C3),
        RefreshSummary(("K",)),
    )


def test_where_all_is_there_nothing_is_done() -> None:
    assert repository_steps(WHOLE, WANTED) == ()


def test_a_summary_that_somebody_left_behind_is_written() -> None:
    assert repository_steps(replace(WHOLE, summary_current=False), WANTED) == (RefreshSummary(("K",)),)


def test_the_branch_stays_where_the_release_is_not_its_newest() -> None:
    assert PointRef not in map(type, repository_steps(BARE, replace(WANTED, ref=None)))


def test_deltas_from_before_the_signature_are_made_anew_and_out_of_the_summary_meanwhile() -> None:
    others = frozenset({(C1, C2), ("", C3), (C2, C3)})
    steps = repository_steps(replace(WHOLE, signed_by=frozenset({"other"}), deltas=others), WANTED)
    assert steps == (
        DropDelta(("", C3)),
        DropDelta((C2, C3)),
        RefreshSummary(("K",)),
        SignCommit(C3, "K"),
        MakeDelta((C2, C3)),
        MakeDelta((C1, C3)),
        RefreshSummary(("K",)),
    )


STATES = st.builds(
    RepositoryState,
    st.just(C3),
    st.booleans(),
    st.frozensets(st.sampled_from("KL")),
    st.frozensets(st.tuples(st.sampled_from(["", C1, C2]), st.sampled_from([C2, C3]))),
    st.sampled_from([None, C2, C3]),
    st.booleans(),
)
DESIRED = st.builds(
    Desired, st.just(SOURCE), st.sampled_from([(), ("K",), ("K", "L")]), st.sampled_from([(), (C1,), (C2, C1)]),
    st.sampled_from([None, "os/stable"]),
)  # fmt: skip


@settings(max_examples=60)
@given(STATES, DESIRED)
def test_after_the_steps_there_is_nothing_left_and_no_moment_was_unsafe(
    state: RepositoryState, desired: Desired
) -> None:
    now = state
    for step in repository_steps(state, desired):
        now = _after(now, step)
    assert repository_steps(now, desired) == ()


@settings(max_examples=60)
@given(STATES, DESIRED, st.integers(0, 9))
def test_who_was_interrupted_goes_on(state: RepositoryState, desired: Desired, done: int) -> None:
    now = state
    for step in repository_steps(state, desired)[:done]:
        now = _after(now, step)
    rest = repository_steps(now, desired)
    assert len(rest) <= len(repository_steps(state, desired))
    for step in rest:
        now = _after(now, step)
    assert repository_steps(now, desired) == ()


def _after(state: RepositoryState, step: RepositoryStep) -> RepositoryState:
    """What a step makes of a repository; asserts that it may be done now."""
    if not isinstance(step, CopyCommit):
        assert state.has_commit
    stale = replace(state, summary_current=False)
    match step:
        case CopyCommit():
            return replace(stale, has_commit=True)
        case DropDelta(delta):
            assert delta in state.deltas
            return replace(stale, deltas=state.deltas - {delta})
        case SignCommit(_, key):
            assert not [delta for delta in state.deltas if delta[1] == state.commit], "they would be without it"
            return replace(stale, signed_by=state.signed_by | {key})
        case MakeDelta(delta):
            return replace(stale, deltas=state.deltas | {delta})
        case PointRef(_, commit):
            return replace(stale, ref_at=commit)
        case RefreshSummary():
            return replace(state, summary_current=True)


def test_every_step_is_told() -> None:
    steps = [*repository_steps(BARE, WANTED), DropDelta(("", C3)), RefreshSummary(()), WriteGraph(Path("/g.json"), b"")]
    lines = [describe(step) for step in steps]
    assert len(set(lines)) == len(lines)
    assert f"make the delta {C2[:12]} to {C3[:12]}" in lines
    assert "write /g.json" in lines
    assert all(first != second for first, second in pairwise(lines))


SHOWN = """\
commit 78c3
Version: 3

    key ID 0123456789ABCDEF

    Found 1 signature:
      Signature made Sat Nov 21 08:01:44 2026 using EdDSA key ID 0123456789ABCDEF

"""
SIGNATURES = """\
Found 2 signatures:

  Signature made Sat Nov 21 08:01:44 2026 using EdDSA key ID 8FCA0C165E4D2322
  Can't check signature: public key not found

  Signature made Sat Nov 21 08:01:44 2026 using RSA key ID 00000000FFFFFFFF
  Good signature from "x <key ID 1111111111111111>"
"""


def test_signers_are_read_from_what_ostree_shows_and_not_from_what_a_commit_says() -> None:
    assert signers(SHOWN) == frozenset()
    assert signers(SHOWN + SIGNATURES) == {"8FCA0C165E4D2322", "00000000FFFFFFFF"}
