"""The report of a run, as text and as JSON."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.cluster.checker import Breach, Call, Findings, Seen, Verb
from tests.cluster.faults import Fault
from tests.cluster.load import Log

SHOWN_BREACHES = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """How long hosts waited for a yes, in milliseconds, and the longest time in which no host got one, in seconds."""

    median_ms: float
    p99_ms: float
    longest_gap_secs: float


@dataclass(frozen=True, slots=True)
class Account:
    """All of it. ``findings`` and ``logs`` by group; ``looks``: how often the store's revision was read."""

    seed: int
    secs: float
    faults: Sequence[Fault]
    findings: Mapping[str, Findings]
    logs: Mapping[str, Log]
    looks: int
    defects: Sequence[str]

    @property
    def cycles(self) -> int:
        """Locks that were granted and given back, both with a reply."""
        return sum(one.cycles for one in self.findings.values())

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """Broken rules of all groups."""
        return tuple(breach for one in self.findings.values() for breach in one.breaches)

    @property
    def is_clean(self) -> bool:
        """Whether nothing at all is wrong."""
        return not (self.breaches or self.defects or any(log.nonsense for log in self.logs.values()))

    def document(self) -> Mapping[str, object]:
        """For machines."""
        return {
            "clean": self.is_clean,
            "seed": self.seed,
            "cycles": self.cycles,
            "faults": len(self.faults),
            "versions": sum(one.versions for one in self.findings.values()),
            "stories": {client: story for one in self.findings.values() for client, story in one.stories.items()},
            "breaches": [f"{breach.rule}: {breach.evidence}" for breach in self.breaches],
            "nonsense": [line for log in self.logs.values() for line in log.nonsense],
            "defects": list(self.defects),
        }

    def page(self) -> str:
        """For people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"seed {self.seed}: {self.cycles} cycles in {self.secs:.0f} s of load, {len(self.faults)} faults"
        yield from _fault_lines(self.faults)
        yield f"the store's revision was looked at {self.looks} times"
        for name, findings in self.findings.items():
            yield from _group_lines(name, findings, self.logs[name])
        yield from (f"  BROKEN {breach.rule}: {breach.evidence}" for breach in self.breaches[:SHOWN_BREACHES])
        yield from (
            f"  UNEXPECTED ANSWER {line}" for log in self.logs.values() for line in log.nonsense[:SHOWN_BREACHES]
        )
        yield from (f"  DEFECT {line}" for line in self.defects[:SHOWN_BREACHES])
        yield f"{len(self.breaches)} broken rules; {'clean' if self.is_clean else 'NOT CLEAN'}"


def _fault_lines(faults: Sequence[Fault]) -> Iterator[str]:
    kinds = Counter((fault.kind, " + ".join(_kinds(fault))) for fault in faults)
    for (kind, nodes), number in sorted(kinds.items()):
        yield f"  {number:4} x {nodes} {kind}"


def _kinds(fault: Fault) -> Iterator[str]:
    for kind, number in sorted(Counter(name.rstrip("0123456789") for name in fault.nodes).items()):
        yield {"etcd": "member", "lock": "coordinator"}[kind] if number == 1 else f"{number} {kind} nodes"


def _group_lines(name: str, findings: Findings, log: Log) -> Iterator[str]:
    figures = _figures([call for own in log.calls.values() for call in own])
    yield (
        f"group {name}: {findings.slots} slots, {findings.cycles} cycles, {findings.versions} versions of the record; "
        f"most holders {findings.most_holders}, most believers {findings.most_believers}"
    )
    yield (
        f"  {findings.lost_calls} calls lost, of which {findings.landed_unseen} took effect unseen; "
        f"grant median {figures.median_ms:.0f} ms, p99 {figures.p99_ms:.0f} ms; "
        f"longest time without a grant {figures.longest_gap_secs:.1f} s"
    )
    yield "  answers: " + ", ".join(f"{what} {number}" for what, number in sorted(log.answers.items()))


def _figures(calls: Sequence[Call]) -> Figures:
    grants = [call for call in calls if call.verb is Verb.LOCK and call.seen is Seen.YES]
    if len(grants) < 2:
        return Figures(0.0, 0.0, 0.0)
    waits_ms = [1000 * (call.done - call.sent) for call in grants]
    moments = sorted(call.done for call in grants)
    gaps = (after - before for before, after in itertools.pairwise(moments))
    return Figures(statistics.median(waits_ms), statistics.quantiles(waits_ms, n=100)[98], max(gaps))
