"""The steps that a repository needs before a release may be offered, in a safe order. Pure.

Between any two steps, what hosts find is consistent: objects come before anything that refers to them, a summary after
the deltas and refs that it lists, and the graph last. A delta contains the signatures that its commit had when the
delta was made (ostree 2022.7 to 2026.4): if a commit is signed later, its deltas are removed first, and from the
summary too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, assert_never

Delta = tuple[str, str]
"""Origin and target commit; an empty origin for a delta from scratch."""

_SHOWN_DIGITS = 12


@dataclass(frozen=True, slots=True)
class CopyCommit:
    """Copy a commit and all of its objects from another repository."""

    source: Path
    commit: str


@dataclass(frozen=True, slots=True)
class DropDelta:
    """Remove a delta."""

    delta: Delta


@dataclass(frozen=True, slots=True)
class SignCommit:
    """Add a signature to a commit."""

    commit: str
    key: str


@dataclass(frozen=True, slots=True)
class MakeDelta:
    """Make a delta."""

    delta: Delta


@dataclass(frozen=True, slots=True)
class PointRef:
    """Set a ref to a commit."""

    ref: str
    commit: str


@dataclass(frozen=True, slots=True)
class RefreshSummary:
    """Write the index of deltas and then the summary, signed with ``keys``."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WriteGraph:
    """Replace a graph."""

    path: Path
    raw: bytes


RepositoryStep: TypeAlias = CopyCommit | DropDelta | SignCommit | MakeDelta | PointRef | RefreshSummary
Step: TypeAlias = RepositoryStep | WriteGraph


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """The present state of a repository, as far as it concerns ``commit``.

    ``signed_by``: the desired keys that have signed the commit. ``ref_at``: the commit of the ref.
    ``summary_current``: the summary lists the present contents.
    """

    commit: str
    has_commit: bool
    signed_by: frozenset[str]
    deltas: frozenset[Delta]
    ref_at: str | None
    summary_current: bool


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state: signatures by ``keys``, deltas from ``origins``, and ``ref``, unless None, at the commit."""

    source: Path | None
    keys: tuple[str, ...]
    origins: Sequence[str]
    ref: str | None


def repository_steps(state: RepositoryState, desired: Desired) -> tuple[RepositoryStep, ...]:
    """The steps from ``state`` to ``desired``, in order; none if there is nothing to do."""
    steps = (*_copy(state, desired), *_signatures(state, desired), *_deltas(state, desired), *_ref(state, desired))
    return steps if not steps and state.summary_current else (*steps, RefreshSummary(desired.keys))


def describe(step: Step) -> str:
    """The step in words, in the imperative."""
    match step:
        case CopyCommit(source, commit):
            return f"copy {_short(commit)} from {source}"
        case DropDelta(delta):
            return f"remove the delta {_named(delta)}, which lacks a signature of its commit"
        case SignCommit(commit, key):
            return f"sign {_short(commit)} with {key}"
        case MakeDelta(delta):
            return f"make the delta {_named(delta)}"
        case PointRef(ref, commit):
            return f"set {ref} to {_short(commit)}"
        case RefreshSummary(keys):
            return f"write the summary, signed with {', '.join(keys)}" if keys else "write the summary"
        case WriteGraph(path):
            return f"write {path}"
    assert_never(step)


def _copy(state: RepositoryState, desired: Desired) -> Iterator[CopyCommit]:
    if not state.has_commit and desired.source is not None:
        yield CopyCommit(desired.source, state.commit)


def _signatures(state: RepositoryState, desired: Desired) -> Iterator[RepositoryStep]:
    missing = _unsigned(state, desired.keys)
    stale = [DropDelta(delta) for delta in sorted(_of(state)) if missing]
    yield from stale
    if stale:
        yield RefreshSummary(desired.keys)
    yield from (SignCommit(state.commit, key) for key in missing)


def _deltas(state: RepositoryState, desired: Desired) -> Iterator[MakeDelta]:
    there = frozenset[Delta]() if _unsigned(state, desired.keys) else _of(state)
    wanted = ((origin, state.commit) for origin in desired.origins)
    yield from (MakeDelta(delta) for delta in wanted if delta not in there)


def _ref(state: RepositoryState, desired: Desired) -> Iterator[PointRef]:
    if desired.ref is not None and state.ref_at != state.commit:
        yield PointRef(desired.ref, state.commit)


def _unsigned(state: RepositoryState, keys: Collection[str]) -> Sequence[str]:
    return [key for key in keys if key not in state.signed_by]


def _of(state: RepositoryState) -> frozenset[Delta]:
    """The deltas that lead to the commit."""
    return frozenset(delta for delta in state.deltas if delta[1] == state.commit)


def _named(delta: Delta) -> str:
    return f"{_short(delta[0]) or 'scratch'} to {_short(delta[1])}"


def _short(commit: str) -> str:
    return commit[:_SHOWN_DIGITS]
