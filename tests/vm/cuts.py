"""Which instants of a recording power is cut at, and what becomes of each host: judged by what it ends in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.vm.classify import BOOTS, Finding, Instant, Verdict, Window
from tests.vm.recording import Recording
from tests.vm.stories import Milestone, Story
from tests.vm.writelog import Lost

CYCLE = (Lost.ALL, Lost.HALF, Lost.NONE)


@dataclass(frozen=True, slots=True)
class Cut:
    """A power cut to be tried: a name, when in the recording, and what is lost."""

    name: str
    at_secs: float
    upto: int
    lost: Lost
    seed: int


def choose_cuts(
    story: Story, recording: Recording, found: Sequence[Window], instants: Sequence[Instant], limit: int | None
) -> list[Cut]:
    """The cuts of a story, at most ``limit``: one in each class of windows in which boot loader and kernel differ, what
    random halves of the writes make of the disk, then the milestones, spread evenly."""
    classes = [*_of_windows(found), *_of_halves(found, instants)]
    milestones = [*_of_milestones(story, recording)]
    if limit is not None:
        classes = classes[:limit]
        milestones = _spread(milestones, limit - len(classes))
    return sorted([*classes, *milestones], key=lambda cut: cut.upto)


def _spread(cuts: Sequence[Cut], number: int) -> list[Cut]:
    """So many of them, from all over."""
    return [cuts[n * len(cuts) // number] for n in range(min(number, len(cuts)))] if number < len(cuts) else [*cuts]


def _of_windows(found: Sequence[Window]) -> Iterable[Cut]:
    seen: set[Finding] = set()
    for window in found:
        if window.finding.verdict is not Verdict.AGREE and window.finding not in seen:
            seen.add(window.finding)
            yield _at(window.middle, str(window.finding.verdict))


def _of_halves(found: Sequence[Window], instants: Sequence[Instant]) -> Iterable[Cut]:
    """The first instant of each finding that only unflushed writes in disorder lead to."""
    seen = {window.finding.verdict for window in found}
    for instant in instants:
        if instant.lost is Lost.HALF and instant.finding.verdict not in seen:
            seen.add(instant.finding.verdict)
            yield _at(instant, f"{instant.finding.verdict} (writes in disorder)")


def _at(instant: Instant, name: str) -> Cut:
    return Cut(name, instant.at_secs, instant.upto, instant.lost, instant.seed)


def _of_milestones(story: Story, recording: Recording) -> Iterable[Cut]:
    for number, milestone in enumerate(story.milestones):
        at_secs = milestone_secs(milestone, recording)
        if at_secs is not None:
            lost = CYCLE[number % len(CYCLE)]
            yield Cut(milestone.name, at_secs, recording.log_bytes(at_secs) + 1, lost, number + 1)


def milestone_secs(milestone: Milestone, recording: Recording) -> float | None:
    """When a milestone was passed; None where this run did not come by it."""
    pattern = re.compile(milestone.pattern)
    passed = [line.at_secs for line in recording.lines if line.boot == milestone.boot and pattern.search(line.text)]
    return passed[milestone.nth - 1] + milestone.after_secs if len(passed) >= milestone.nth else None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a host after a cut. ``boots_into`` is None for one that does not boot, ``ends_in`` for one that
    did not come to rest in any release; ``detail`` says why."""

    cut: Cut
    boots_into: str | None
    outcomes: tuple[str, ...]
    denied: tuple[str, ...]
    ends_in: str | None
    detail: str
    lost_bytes: int
    power_ons: int
    took_secs: float


def faults(story: Story, result: Result) -> list[str]:
    """What is wrong with how a host ended; nothing for one that found its way."""
    wrongly = sorted(set(result.denied) - story.rightly_denied)
    found = [f"{version} is denied, though nothing is wrong with it" for version in wrongly]
    if result.boots_into is None:
        return [*found, "the host does not boot"]
    if result.ends_in in result.denied:
        return [*found, f"{result.ends_in} is denied, and the host stays in it"]
    if result.ends_in not in {story.ends_in, *story.may_end_in}:
        return [*found, f"the host ends in {result.ends_in or 'nothing'}: {result.detail}"]
    return found


def window_faults(found: Sequence[Window], healed: frozenset[Verdict]) -> list[str]:
    """The windows in which a host does not boot, but for those of a class that the releases heal by themselves: a cut
    in each class is booted."""
    return [
        f"{window.finding.verdict}, {window.end_secs - window.begin_secs:.2f} s from {window.begin_secs:.2f} s on"
        for window in found
        if window.finding.verdict not in BOOTS | healed
    ]
