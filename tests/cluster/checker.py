"""Check the locks of a run: compare the store's history with what the clients observed. Pure.

Each rule is judged from evidence alone. Times are those of one clock in one process, that of the clients; a revision of
the store lies between two such times (:class:`tests.cluster.history.Timeline`), and a rule is broken only where it is
broken for every moment in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Protocol

from tests.cluster.history import Version

LATE_SECS = 20.0
"""How long after it was sent a call that was given up may still take effect. The lab freezes nothing for longer than
4 s; a coordinator drops a call after 4 s, and is at most one request to etcd later done with it."""


class Verb(StrEnum):
    """The last part of the path."""

    LOCK = "pre-reboot"
    UNLOCK = "steady-state"


class Seen(StrEnum):
    """How a call ended for the client."""

    YES = "yes"
    LOST = "lost"  # no reply, or one that does not tell whether it took effect


@dataclass(frozen=True, slots=True)
class Call:
    """A call that took effect, or may have. A refusal is no call. ``revision`` is what the reply to a lock names."""

    verb: Verb
    seen: Seen
    sent: float
    done: float
    revision: int | None = None


class Rule(StrEnum):
    """What must not happen."""

    TOO_MANY_HOLDERS = "a version of the record has more holders than slots"
    TWICE_IN_RECORD = "a version of the record has a holder twice"
    RECORD_GONE = "the record was deleted"
    TOO_MANY_BELIEVERS = "more clients than slots held a grant at one moment"
    GRANT_NOT_WRITTEN = "a grant was replied that is not in the record"
    RELEASE_NOT_WRITTEN = "a release was replied and the record still has the holder"
    HELD_UNASKED = "a holder appeared without a call that explains it"
    FREED_UNASKED = "a holder disappeared without a call that explains it"
    FREED_TOO_EARLY = "a holder disappeared before its client gave the slot back"
    LEFT_OVER = "a holder was left when all had given back"


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken rule and the evidence."""

    rule: Rule
    evidence: str


@dataclass(slots=True)
class Findings:
    """What one group's history comes to. ``stories``: all that is known about clients of whom something is wrong."""

    slots: int
    versions: int = 0
    most_holders: int = 0
    most_believers: int = 0
    cycles: int = 0
    lost_calls: int = 0
    landed_unseen: int = 0
    breaches: list[Breach] = field(default_factory=list[Breach])

    stories: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def breach(self, rule: Rule, evidence: str) -> None:
        """Note one."""
        self.breaches.append(Breach(rule, evidence))


class Bounds(Protocol):
    """Between which moments a revision was written."""

    def earliest(self, revision: int) -> float: ...
    def latest(self, revision: int) -> float: ...


@dataclass(slots=True)
class Spell:
    """A client in the record, from a revision until before another."""

    taken: int
    freed: int | None = None


@dataclass(frozen=True, slots=True)
class Belief:
    """A client holds a grant: from the reply until it begins to give it back."""

    since: float
    until: float
    revision: int | None


def check(slots: int, versions: Iterable[Version], calls: Mapping[str, Sequence[Call]], when: Bounds) -> Findings:
    """Judge a group. ``calls``: of each client, in the order in which it made them, never two at a time."""
    findings = Findings(slots)
    spells = _replay(versions, findings)
    for client in sorted(calls.keys() | spells.keys()):
        _check_client(client, calls.get(client, ()), spells.get(client, ()), when, findings)
    _check_beliefs(calls, findings)
    return findings


def _replay(versions: Iterable[Version], findings: Findings) -> Mapping[str, Sequence[Spell]]:
    """The record, version by version; each client's spells in it."""
    spells: defaultdict[str, list[Spell]] = defaultdict(list)
    before: frozenset[str] = frozenset()
    for version in versions:
        _check_version(version, findings)
        now = frozenset(version.holders or ())
        for client in now - before:
            spells[client].append(Spell(version.revision))
        for client in before - now:
            spells[client][-1].freed = version.revision
        before = now
    for client in sorted(before):
        findings.breach(Rule.LEFT_OVER, client)
    return spells


def _check_version(version: Version, findings: Findings) -> None:
    findings.versions += 1
    if version.holders is None:
        findings.breach(Rule.RECORD_GONE, f"revision {version.revision}")
        return
    count = len(version.holders)
    findings.most_holders = max(findings.most_holders, count)
    if count > findings.slots:
        findings.breach(Rule.TOO_MANY_HOLDERS, f"revision {version.revision}: {count} of {findings.slots}")
    if len(set(version.holders)) != count:
        findings.breach(Rule.TWICE_IN_RECORD, f"revision {version.revision}")


def _check_client(
    client: str, calls: Sequence[Call], spells: Sequence[Spell], when: Bounds, findings: Findings
) -> None:
    before = len(findings.breaches)
    findings.lost_calls += sum(call.seen is Seen.LOST for call in calls)
    findings.cycles += _cycles(calls)
    taken = [spell.taken for spell in spells]
    freed = [spell.freed for spell in spells if spell.freed is not None]
    _explain(client, taken, [call for call in calls if call.verb is Verb.LOCK], Rule.HELD_UNASKED, when, findings)
    _explain(client, freed, [call for call in calls if call.verb is Verb.UNLOCK], Rule.FREED_UNASKED, when, findings)
    for call in calls:
        if call.seen is Seen.YES:
            _check_reply(client, call, calls, spells, when, findings)
    for belief in beliefs(calls):
        _check_kept(client, belief, spells, when, findings)
    if len(findings.breaches) > before or (spells and spells[-1].freed is None):
        findings.stories[client] = (*map(str, calls), *(_story(spell, when) for spell in spells))


def _story(spell: Spell, when: Bounds) -> str:
    """A spell with the moments between which it began and ended."""
    moments = [
        f"{one} ({when.earliest(one):.3f} to {when.latest(one):.3f})" for one in (spell.taken, spell.freed) if one
    ]
    return f"in the record from revision {' until '.join(moments)}"


def _cycles(calls: Sequence[Call]) -> int:
    """Grants that were seen and, later, a release that was seen."""
    number, held = 0, False
    for call in calls:
        if call.seen is Seen.YES:
            number += held and call.verb is Verb.UNLOCK
            held = call.verb is Verb.LOCK
    return number


def _explain(
    client: str, changes: Sequence[int], calls: Sequence[Call], rule: Rule, when: Bounds, findings: Findings
) -> None:
    """Every change has a call that was, or may have been, at work when it was written; one call makes one change."""
    for revision in changes:
        at_work = [call for call in calls if _may_have_made(call, revision, when)]
        if not at_work:
            findings.breach(rule, f"{client} at revision {revision}")
        findings.landed_unseen += bool(at_work) and all(call.seen is Seen.LOST for call in at_work)
    if len(changes) > len(calls):
        findings.breach(rule, f"{client}: {len(changes)} times by {len(calls)} calls")


def _may_have_made(call: Call, revision: int, when: Bounds) -> bool:
    until = call.done if call.seen is Seen.YES else call.sent + LATE_SECS
    return call.sent <= when.latest(revision) and when.earliest(revision) <= until


def _check_reply(
    client: str, call: Call, calls: Sequence[Call], spells: Sequence[Spell], when: Bounds, findings: Findings
) -> None:
    """At some moment between question and reply the record was as the reply says; for a grant, at its revision.

    Not so a release beside a lock that was lost a short while before: a coordinator may carry out both, in this order,
    in one write, and no version of the record is without the holder. The client's next question frees the slot.
    """
    match call.verb:
        case Verb.LOCK if call.revision is not None:
            right = any(spell.taken <= call.revision < (spell.freed or inf) for spell in spells)
            rule = Rule.GRANT_NOT_WRITTEN
        case Verb.LOCK:
            right = any(_may_hold(spell, call, when) for spell in spells)
            rule = Rule.GRANT_NOT_WRITTEN
        case Verb.UNLOCK:
            right = _is_beside_a_lost_lock(call, calls) or not any(_surely_holds(one, call, when) for one in spells)
            rule = Rule.RELEASE_NOT_WRITTEN
    if not right:
        findings.breach(rule, f"{client}, {call}")


def _is_beside_a_lost_lock(call: Call, calls: Sequence[Call]) -> bool:
    return any(
        one.verb is Verb.LOCK and one.seen is Seen.LOST and one.sent < call.done <= one.sent + LATE_SECS
        for one in calls
    )


def _may_hold(spell: Spell, call: Call, when: Bounds) -> bool:
    end = inf if spell.freed is None else when.latest(spell.freed)
    return when.earliest(spell.taken) <= call.done and call.sent <= end


def _surely_holds(spell: Spell, call: Call, when: Bounds) -> bool:
    """All the time from question to reply."""
    end = inf if spell.freed is None else when.earliest(spell.freed)
    return when.latest(spell.taken) < call.sent and call.done < end


def beliefs(calls: Sequence[Call]) -> Iterator[Belief]:
    """When a client held a grant. One that was granted again holds it from the first time on."""
    since: Call | None = None
    for call in calls:
        if call.verb is Verb.UNLOCK and since is not None:
            yield Belief(since.done, call.sent, since.revision)
            since = None
        elif call.verb is Verb.LOCK and call.seen is Seen.YES and since is None:
            since = call
    if since is not None:
        yield Belief(since.done, inf, since.revision)


def _check_kept(client: str, belief: Belief, spells: Sequence[Spell], when: Bounds, findings: Findings) -> None:
    spell = _spell_at(belief, spells)
    if spell is not None and spell.freed is not None and when.latest(spell.freed) < belief.until:
        findings.breach(Rule.FREED_TOO_EARLY, f"{client} at revision {spell.freed}, {belief}")


def _spell_at(belief: Belief, spells: Sequence[Spell]) -> Spell | None:
    """The spell that the grant is about; without its revision none can be named for sure."""
    if belief.revision is None:
        return None
    place = bisect_right(spells, belief.revision, key=lambda spell: spell.taken)
    return spells[place - 1] if place else None


def _check_beliefs(calls: Mapping[str, Sequence[Call]], findings: Findings) -> None:
    """How many held a grant at each moment. Of two things at one moment, the end comes first."""
    edges = [edge for own in calls.values() for belief in beliefs(own) for edge in _edges(belief)]
    believers = 0
    for moment, step in sorted(edges):
        believers += step
        findings.most_believers = max(findings.most_believers, believers)
        if believers > findings.slots and step > 0:
            findings.breach(Rule.TOO_MANY_BELIEVERS, f"{believers} of {findings.slots} at {moment:.6f}")


def _edges(belief: Belief) -> tuple[tuple[float, int], tuple[float, int]]:
    return (belief.since, 1), (belief.until, -1)
