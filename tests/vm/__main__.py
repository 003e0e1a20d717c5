"""``python -m tests.vm``: cut the power of a virtual machine at every class of instant, and print what became of it.

A story is run once with every write to the disk logged. Each flush in that log is classified without booting; then
disks are rebuilt as power cuts leave them, booted, and followed to their end. The exit status is 1 where a host does
not boot, a good release is denied, or a bad one is kept as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.lab.cache import Cache
from tests.e2e.lab.debian import SUITES
from tests.e2e.lab.lab import Lab, open_lab
from tests.e2e.lab.process import LabError
from tests.e2e.lab.server import Server, serve
from tests.vm.classify import Verdict, Window, classify, windows
from tests.vm.cuts import Result, choose_cuts, faults, window_faults
from tests.vm.doctor import can_run
from tests.vm.kit import CHECKOUT, PORT, Kit, kit_for
from tests.vm.recording import record
from tests.vm.recovery import try_cut
from tests.vm.stories import STORIES, Story
from tests.vm.table import cuts_table, summary, windows_table

SHIPPED_SCRIPTS = CHECKOUT / "contrib/initramfs-tools"


def main() -> int:
    """The command line; returns the exit status."""
    arguments = _parser().parse_args()
    try:
        return _run(arguments)
    except LabError as error:
        print(f"tests.vm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("--story", choices=[*STORIES, "all"], default="all")
    parser.add_argument("--suite", choices=SUITES, default=next(iter(SUITES)))
    parser.add_argument("--cuts", type=int, metavar="N", help="boot at most N cuts of each story (0: classify only)")
    scripts = parser.add_mutually_exclusive_group()
    scripts.add_argument(
        "--initramfs-script",
        type=Path,
        nargs="?",
        const=SHIPPED_SCRIPTS,
        metavar="DIR",
        help="put this folder (hooks, scripts/...) into the initramfs of the releases; contrib/initramfs-tools if none "
        "is named",
    )
    scripts.add_argument(
        "--without-initramfs-script", action="store_const", const=None, dest="initramfs_script", help="the default"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the tables there, too, and what they are made of"
    )
    return parser


def _say(message: str) -> None:
    print(message, flush=True)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found out about a story."""

    story: Story
    windows: Sequence[Window]
    results: Sequence[Result]
    healed: frozenset[Verdict]

    @property
    def text(self) -> str:
        """The tables."""
        parts = [f"### {self.story.name}", windows_table(self.windows)]
        if self.results:
            parts += [cuts_table(self.story, self.results), summary(self.story, self.windows, self.results)]
        return "\n".join(parts)

    @property
    def wrong(self) -> list[str]:
        """All faults."""
        return [
            *window_faults(self.windows, self.healed),
            *(fault for r in self.results for fault in faults(self.story, r)),
        ]


def _run(arguments: argparse.Namespace) -> int:
    if reason := can_run():
        raise LabError(reason)
    folder: Path | None = arguments.initramfs_script
    if folder is not None and not folder.is_dir():
        raise LabError(f"{folder} is no folder", "name one with hooks/ and scripts/ in it")
    healed = frozenset[Verdict]() if folder is None else frozenset({Verdict.NO_ROOT})
    chosen = list(STORIES.values()) if arguments.story == "all" else [STORIES[arguments.story]]
    with open_lab(Cache.default(_say)) as lab, serve(lab, PORT) as server:
        kit = kit_for(lab, arguments.suite, [] if folder is None else [folder])
        told = [(story, *_tell(lab, kit, server, story, arguments.cuts)) for story in chosen]
    reports = [Report(story, found, results, healed) for story, found, results in told]
    if arguments.out is not None:
        _write(arguments.out, reports)
    wrong = [f"{report.story.name}: {fault}" for report in reports for fault in report.wrong]
    print("\n".join(["", *wrong, f"{len(wrong)} faults"]))
    return 1 if wrong else 0


def _tell(
    lab: Lab, kit: Kit, server: Server, story: Story, limit: int | None
) -> tuple[Sequence[Window], Sequence[Result]]:
    _say(f"== {story.name}")
    recording = record(lab, kit, server, story, _say)
    if recording.outcomes != story.outcomes:
        _say(f"outcomes: {', '.join(recording.outcomes)}; expected: {', '.join(story.outcomes)}")
    instants = classify(recording, lab.folder("classify"), since=recording.powers[story.from_boot - 1])
    found = windows(instants)
    _say(windows_table(found))
    cuts = choose_cuts(story, recording, found, instants, limit)
    results = [try_cut(lab, recording, story, cut, _say) for cut in cuts]
    if results:
        _say(cuts_table(story, results))
    return found, results


def _write(file: Path, reports: Sequence[Report]) -> None:
    file.write_text("\n".join(report.text for report in reports))
    raw = {report.story.name: [asdict(result) for result in report.results] for report in reports}
    file.with_suffix(".json").write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    sys.exit(main())
