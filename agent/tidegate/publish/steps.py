"""What a repository still lacks before hosts may be sent to a release, in the order in which it is safe. Pure.

At each point between two steps hosts can use what is there: objects come before whatever names them, a summary after
the deltas and refs that it lists, the graph last. A delta carries the signatures that its commit had when the delta was
made (ostree 2022.7 to 2026.4): where a commit is signed later, its old deltas go first, and out of the summary, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, assert_never

Delta = tuple[str, str]
"""From which commit to which."""

_SHOWN_DIGITS = 12


@dataclass(frozen=True, slots=True)
class CopyCommit:
    """Bring a commit and all of its objects from another repository."""

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
    """Let a ref lead to a commit."""

    ref: str
    commit: str


@dataclass(frozen=True, slots=True)
class RefreshSummary:
    """Write the summary anew, signed with ``keys``, and the index of deltas before it."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WriteGraph:
    """Put a graph in place."""

    path: Path
    raw: bytes


RepositoryStep: TypeAlias = CopyCommit | DropDelta | SignCommit | MakeDelta | PointRef | RefreshSummary
Step: TypeAlias = RepositoryStep | WriteGraph


@dataclass(frozen=True, slots=True)
class Sight:
    """What a repository has: the commit that is asked about, by which keys it is signed, deltas, where the ref leads.

    ``summary_stands``: the summary lists what is there now.
    """

    commit: str
    has_commit: bool
    signed_by: frozenset[str]
    deltas: frozenset[Delta]
    ref_at: str | None
    summary_stands: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What it should have: signatures by ``keys``, deltas from ``origins``; ``ref`` leads to the commit unless None."""

    source: Path | None
    keys: tuple[str, ...]
    origins: Sequence[str]
    ref: str | None


def repository_steps(seen: Sight, wish: Wish) -> tuple[RepositoryStep, ...]:
    """What is to be done, in this order; nothing where the repository has it all."""
    steps = (*_copy(seen, wish), *_signatures(seen, wish), *_deltas(seen, wish), *_ref(seen, wish))
    return steps if not steps and seen.summary_stands else (*steps, RefreshSummary(wish.keys))


def told(step: Step) -> str:
    """What the step does, for people."""
    match step:
        case CopyCommit(source, commit):
            return f"copy {_short(commit)} from {source}"
        case DropDelta(delta):
            return f"remove the delta {_named(delta)}: it was made before its release was signed"
        case SignCommit(commit, key):
            return f"sign {_short(commit)} with {key}"
        case MakeDelta(delta):
            return f"make the delta {_named(delta)}"
        case PointRef(ref, commit):
            return f"let {ref} lead to {_short(commit)}"
        case RefreshSummary(keys):
            return f"write the summary, signed with {', '.join(keys)}" if keys else "write the summary"
        case WriteGraph(path):
            return f"write {path}"
    assert_never(step)


def _copy(seen: Sight, wish: Wish) -> Iterator[CopyCommit]:
    if not seen.has_commit and wish.source is not None:
        yield CopyCommit(wish.source, seen.commit)


def _signatures(seen: Sight, wish: Wish) -> Iterator[RepositoryStep]:
    missing = _unsigned(seen, wish.keys)
    stale = [DropDelta(delta) for delta in sorted(_of(seen)) if missing]
    yield from stale
    if stale:
        yield RefreshSummary(wish.keys)
    yield from (SignCommit(seen.commit, key) for key in missing)


def _deltas(seen: Sight, wish: Wish) -> Iterator[MakeDelta]:
    there = frozenset[Delta]() if _unsigned(seen, wish.keys) else _of(seen)
    wanted = ((origin, seen.commit) for origin in wish.origins)
    yield from (MakeDelta(delta) for delta in wanted if delta not in there)


def _ref(seen: Sight, wish: Wish) -> Iterator[PointRef]:
    if wish.ref is not None and seen.ref_at != seen.commit:
        yield PointRef(wish.ref, seen.commit)


def _unsigned(seen: Sight, keys: Collection[str]) -> Sequence[str]:
    return [key for key in keys if key not in seen.signed_by]


def _of(seen: Sight) -> frozenset[Delta]:
    """The deltas that lead to the commit."""
    return frozenset(delta for delta in seen.deltas if delta[1] == seen.commit)


def _named(delta: Delta) -> str:
    return f"{_short(delta[0]) or 'nothing'} to {_short(delta[1])}"


def _short(commit: str) -> str:
    return commit[:_SHOWN_DIGITS]
