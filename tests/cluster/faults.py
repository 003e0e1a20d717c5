"""The faults of a run, drawn from a seed. They are injected elsewhere (:mod:`.lab`)."""

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


class Blow(StrEnum):
    """What is done to a node; after a time it is undone."""

    KILL = "killed"
    FREEZE = "frozen"
    CUT = "cut off"
    MUTE = "muted"  # its replies are lost: what it is asked to do, it does, and nobody hears of it


@dataclass(frozen=True, slots=True)
class Fault:
    """One blow to some nodes for ``secs``, and ``peace_secs`` of nothing afterwards."""

    blow: Blow
    nodes: tuple[str, ...]
    secs: float
    peace_secs: float


def faults(seed: int, members: Sequence[str], coordinators: Sequence[str]) -> Iterator[Fault]:
    """Without end, the same for the same seed. Every blow meets every node before a pair or a majority is met."""
    random = Random(seed)
    singles = [(blow, (node,)) for blow in Blow for node in (*members, *coordinators)]
    random.shuffle(singles)
    for blow, nodes in singles:
        yield _fault(random, blow, nodes)
    while True:
        yield _fault(random, random.choice([*Blow]), _nodes(random, members, coordinators))


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


def _fault(random: Random, blow: Blow, nodes: tuple[str, ...]) -> Fault:
    secs = random.uniform(SHORTEST_SECS, LONGEST_SECS)
    return Fault(blow, nodes, secs, random.uniform(SHORTEST_PEACE_SECS, LONGEST_PEACE_SECS))
