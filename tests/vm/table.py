"""The tables of a run, for people and for the manual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.vm.classify import Verdict, Window
from tests.vm.cuts import Result, faults
from tests.vm.stories import Story


def windows_table(found: Sequence[Window]) -> str:
    """What every instant comes to, found out without booting."""
    rows = [
        (
            f"{window.begin_secs:.2f}-{window.end_secs:.2f}",
            f"{window.end_secs - window.begin_secs:.2f}",
            str(len(window.instants)),
            _marked(str(window.finding.verdict), good=window.finding.verdict is Verdict.AGREE),
            window.finding.boots,
            window.finding.default,
        )
        for window in found
    ]
    return _table(("from-to (s)", "lasts (s)", "flushes", "class", "boots", "/boot says"), rows)


def cuts_table(story: Story, results: Sequence[Result]) -> str:
    """What became of each host."""
    return _table(("cut at", "s", "lost", "boots into", "outcomes", "denied", "ends in", "power-ons", "took (s)"), [
        (
            result.cut.name,
            f"{result.cut.at_secs:.2f}",
            f"{result.cut.lost}, {result.lost_bytes // 1024} KiB",
            result.boots_into or "nothing",
            ", ".join(result.outcomes) or "-",
            ", ".join(result.denied) or "none",
            _ending(story, result),
            str(result.power_ons),
            f"{result.took_secs:.0f}",
        )
        for result in results
    ])  # fmt: skip


def _ending(story: Story, result: Result) -> str:
    wrong = faults(story, result)
    return _marked("; ".join(wrong), good=False) if wrong else f"{result.ends_in}, by itself"


def _marked(text: str, *, good: bool) -> str:
    return text if good else f"**{text}**"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines) + "\n"


def summary(story: Story, found: Sequence[Window], results: Sequence[Result]) -> str:
    """The sums: how long a host would not boot, and what went wrong."""
    dead = [w for w in found if w.finding.boots == "nothing"]
    secs = sum(window.end_secs - window.begin_secs for window in dead)
    wrong = [result for result in results if faults(story, result)]
    lost = sum(result.boots_into is None for result in results)
    denied = sum(bool(set(result.denied) - story.rightly_denied) for result in results)
    kept = sum(result.ends_in in result.denied for result in results)
    return (
        f"{len(results)} cuts: {lost} hosts that do not boot, {denied} with a good release denied, {kept} in a release "
        f"that is denied, {len(wrong)} wrong in all; instants without a boot: {secs:.2f} s\n"
    )
