"""The faults of a run, drawn from a seed; :mod:`.lab` injects them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

SHORTEST_SECS = 0.2
LONGEST_SECS = 4.0
"""Longer than an election of etcd takes and than a coordinator waits for a member: both sides of each deadline."""

SHORTEST_PEACE_SECS = 0.1
LONGEST_PEACE_SECS = 2.0


class FaultKind(StrEnum):
    """A fault of a node, which ends after a time."""

    KILL = "killed"
    FREEZE = "frozen"
    CUT = "cut off"
    MUTE = "muted"  # its replies are lost: it carries requests out, and their senders do not know


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of some nodes for ``secs``, and ``peace_secs`` without one afterwards."""

    kind: FaultKind
    nodes: tuple[str, ...]
    secs: float
    peace_secs: float


def faults(seed: int, members: Sequence[str], coordinators: Sequence[str]) -> Iterator[Fault]:
    """Draw faults without end, the same for the same seed. Every node has every kind before several nodes have one."""
    random = Random(seed)
    singles = [(kind, (node,)) for kind in FaultKind for node in (*members, *coordinators)]
    random.shuffle(singles)
    for kind, nodes in singles:
        yield _fault(random, kind, nodes)
    while True:
        yield _fault(random, random.choice([*FaultKind]), _nodes(random, members, coordinators))


def _nodes(random: Random, members: Sequence[str], coordinators: Sequence[str]) -> tuple[str, ...]:
    match random.randrange(10):
        case 0:  # the store has no majority
            return tuple(random.sample([*members], len(members) // 2 + 1))
        case 1:  # nobody to ask
            return tuple(coordinators)
        case 2 | 3 | 4:
            return (random.choice(members), random.choice(coordinators))
        case _:
            return (random.choice([*members, *coordinators]),)


def _fault(random: Random, kind: FaultKind, nodes: tuple[str, ...]) -> Fault:
    secs = random.uniform(SHORTEST_SECS, LONGEST_SECS)
    return Fault(kind, nodes, secs, random.uniform(SHORTEST_PEACE_SECS, LONGEST_PEACE_SECS))
